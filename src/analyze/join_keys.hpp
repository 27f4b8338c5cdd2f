/*
 * join_keys.hpp - which columns must be equal for rows of two tables to meet in a block.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"

namespace tw::analyze
{

/* Fills the block's join keys; its query and occurrences are there. */
void find_join_keys(Block *block);

} // namespace tw::analyze
