/*
 * trigger.hpp - entry of the change lane: the trigger function of base tables.
 */
#pragma once

namespace tw::maintain
{

void init_triggers();

} // namespace tw::maintain
