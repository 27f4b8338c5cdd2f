/*
 * rights.hpp - whether a view's owner may still read what the view reads.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

struct Rights
{
	List *relations; /* OIDs of the tables and views whose grants decide */
	Oid denied;      /* one of them that may not be read; InvalidOid: all may */
};

/*
 * The rights that a view's rewritten query needs, looked at as its owner. They
 * hold until one of the relations is altered or somebody's membership in roles is.
 */
Rights find_rights(Query *query);

} // namespace tw::analyze
