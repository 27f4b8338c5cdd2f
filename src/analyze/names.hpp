/*
 * names.hpp - what a query shows of names that commands may change.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* True if the node shows the name of an object as text that the query itself gives, or that its types do. */
bool shows_known_name(Node *node);

/* True if the query may show the name of the object, which it has as a constant. */
bool shows_name(Query *query, Oid object);

enum class Labels
{
	kAdded,  /* there is one more */
	kRenamed /* one is another word */
};

/* True if the result of the query may be another one when the labels of the enum type are altered. */
bool shows_labels(Query *query, Oid type, Labels change);

} // namespace tw::analyze
