#pragma once

#include "options.h"

namespace sandbox {

/** Enters the namespaces that are asked for; that of process IDs begins with the next child. */
void EnterNamespaces(const Options& options);

/**
 * Goes on in a child, the first process of its namespace: the kernel ends all others with it, however they were started.
 * The caller stays behind, ends with it and as it did. Returns in the child.
 */
void BecomeFirstProcess(const Options& options);

/** The kernel ends this process with `parent`. Changing the user undoes it, so it comes after. */
void EndWithParent(pid_t parent);

}  // namespace sandbox
