/*
 * tail.hpp - TAIL syntax, cursors and tailwater.exec().
 */
#pragma once

namespace tw::tail
{

/* Installs the hooks and the syntax. Postmaster, while preloading. */
void init();

} // namespace tw::tail
