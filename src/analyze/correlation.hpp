/*
 * correlation.hpp - how a subquery in an expression is connected with the query around it.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* True if the query refers to one around it. */
bool is_correlated(Query *query);

/* A condition of a subquery: its own expression equals one of the query around it. */
struct Link
{
	Node *inner;
	Node *outer;
	OpExpr *op;
	bool inner_first;
};

/* True if values that the type's default equality holds for equal are so for the operator. */
bool follows_default_equality(Oid opno, Oid type);

/* Adds the conditions that are connected by AND. */
void flatten_conditions(Node *quals, List **conditions);

/* The conditions as one; null if there are none. */
Node *conjunction(List *conditions);

/*
 * Takes the links (Link *) out of the conditions of the subquery, which is changed. Returns
 * false where something else in it, too, refers to the query around it.
 */
bool take_links(Query *subquery, List **links);

/* The conditions of links with columns of the item, of which `first` is the first. */
List *link_conditions(List *links, Query *item, int rti, AttrNumber first);

/* A column of the subquery that is an item of FROM. */
Var *item_column(Query *item, int rti, AttrNumber resno);

void add_target(Query *query, Node *expr);

} // namespace tw::analyze
