/*
 * label.hpp - how a view is kept up to date, as a security label of it.
 */
#pragma once

#include "pg/postgres.hpp"
#include "catalog/view_list.hpp"

namespace tw::catalog
{

constexpr const char *kLabelProvider = "tailwater";

/* Labels the view as the listing says; without one, removes the label. */
void put_label(Oid view, const Listing *listing);

/* What a label says; an error where it says nothing. */
Listing read_label(const char *label);

/* Removes all labels, and what views with one depend on besides their queries: the extension goes. */
void remove_labels();

/* At preload. */
void init_labels();

} // namespace tw::catalog
