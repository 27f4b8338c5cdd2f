/*
 * copy.hpp - a receiver of rows that sends them as COPY TO STDOUT does.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::tail
{

/* Formats text, csv and binary, with COPY's options (DefElem) for output. */
DestReceiver *make_copy_receiver(List *options);

} // namespace tw::tail
