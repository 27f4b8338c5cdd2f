/*
 * session.hpp - the gateway's side of the database: reads what the hub wants.
 *
 * Backend regime. A round is one short read-only transaction with one
 * snapshot: new versions, requests and first reads all see the same state. An
 * error in it ends the transaction; whoever caused it (a view, a request) is
 * told and the round begins again without it.
 */
#pragma once

#include "pg/postgres.hpp"
#include "gateway/core/hub.hpp"

namespace tw::gateway
{

/* Sets up plans and invalidation callbacks; the hub outlives the session. */
void init_session(Hub *hub);

/*
 * Brings the hub up to the database's newest version and serves its requests.
 * Returns false where the database cannot be read now: try again in a second.
 */
bool run_round();

/* There is an anonymous role (as of the last round). */
bool anonymous_allowed();

/* tailwater.anon_role may have changed. */
void settings_changed();

} // namespace tw::gateway
