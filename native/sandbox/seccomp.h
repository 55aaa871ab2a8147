#pragma once

namespace sandbox {

/**
 * Refuses what a plugin has no business with: other processes' memory, mounts, namespaces, keys, kernel modules, and the
 * ways around the other measures. `unix_sockets_only` leaves no other family of sockets.
 */
void FilterSystemCalls(bool deny, bool unix_sockets_only);

}  // namespace sandbox
