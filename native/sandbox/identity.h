#pragma once

#include "options.h"

namespace sandbox {

/** Takes on the plugin's user, and gives up every capability but those to keep, in every set. */
void TakeIdentity(const Options& options);

/** Gives up the rest as well, for the process that only waits. */
void GiveUpCapabilities();

/** Gives up all but the right to end the plugin, where that has a user of its own, for the process that supervises it. */
void KeepRightToKill();

}  // namespace sandbox
