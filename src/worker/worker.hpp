/*
 * worker.hpp - entry of the folder for main.cpp.
 */
#pragma once

namespace tw::worker
{

/* At preload: shared memory, transaction callbacks, hooks, and the launcher. */
void init();

} // namespace tw::worker
