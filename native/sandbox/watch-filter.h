#pragma once

namespace sandbox {

/**
 * From here on every watched system call of this process and its children waits for the one who holds the descriptor
 * that is given back, or that has ended. Source: seccomp_unotify(2).
 */
int WatchSystemCalls();

}  // namespace sandbox
