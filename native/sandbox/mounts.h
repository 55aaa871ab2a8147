#pragma once

#include "options.h"

namespace sandbox {

/**
 * Makes a new root that shows the places that are asked for, in their order, and nothing else. Source of the steps:
 * pivot_root(2), mount_namespaces(7).
 */
void ShowPlaces(const Options& options);

}  // namespace sandbox
