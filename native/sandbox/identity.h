#pragma once

#include "options.h"

namespace sandbox {

/** Takes on the plugin's user, and gives up every capability but those to keep, in every set. */
void TakeIdentity(const Options& options);

/** Gives up the rest as well, for the process that only waits. */
void GiveUpCapabilities();

}  // namespace sandbox
