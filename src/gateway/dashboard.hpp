/*
 * dashboard.hpp - the page at "/" where no static directory is set.
 */
#pragma once

namespace tw::gateway
{

const char *dashboard_page();

} // namespace tw::gateway
