#pragma once

#include <sys/types.h>

#include "options.h"

namespace sandbox {

/**
 * Goes on in a child. The caller stays, and ends the child with all that it started, whatever session or group that hid
 * in: when the host ends, when it is asked to by SIGTERM, when the child has ended. It ends as the child did.
 */
void BecomeSupervised(const Options& options);

/**
 * Goes on in a child, in a namespace of process IDs whose first process is this launcher's as well: the kernel ends all
 * in it with that one, which the plugin has no way to signal or to trace. The caller stays outside, ends with it and as
 * the plugin did. The first process stays once {@link LeaveFirstProcess} was called.
 */
void BecomeFirstProcess(const Options& options);

/** Goes on in a child of the namespace's first process, which from here on waits; nothing in other cases. */
void LeaveFirstProcess();

/** Says which process waits for this one, where none of the above forked it. */
void TakeParent(pid_t process);

/** Ends as the plugin did, by its status of wait(2), so that the host is told the truth. */
[[noreturn]] void EndLike(int status);

/** The kernel sends this process the signal when `expected`, its parent, ends. */
void EndWith(pid_t expected, int number);

/** The kernel ends this process with the one that waits for it. Changing the user undoes it, so it comes after. */
void EndWithParent();

}  // namespace sandbox
