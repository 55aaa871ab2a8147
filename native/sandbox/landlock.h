#pragma once

#include "options.h"

namespace sandbox {

/**
 * Lets this process open the places that are asked for and nothing else, whatever is mounted, and keeps it from
 * processes and abstract sockets outside. Does as much as the kernel knows. Source: landlock(7).
 */
void RestrictToPlaces(const Options& options);

}  // namespace sandbox
