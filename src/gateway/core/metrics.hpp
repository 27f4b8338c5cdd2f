/*
 * metrics.hpp - the gateway's numbers in Prometheus' text format.
 */
#pragma once

#include <string>

namespace tw::gateway
{

class Hub;

std::string write_metrics(const Hub &hub);

} // namespace tw::gateway
