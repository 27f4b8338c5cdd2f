/*
 * scale.hpp - numeric expressions that always show the same number of decimals.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* The display scale of all values of a numeric expression but NaN; -1 where they may differ. */
int fixed_scale(Node *expr);

/*
 * Columns of subqueries whose scale is fixed are given it as their type modifier
 * where the query reads them, so that it is known there too.
 */
void infer_scales(Query *query);

} // namespace tw::analyze
