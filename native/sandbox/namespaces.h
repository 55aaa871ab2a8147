#pragma once

#include "options.h"

namespace sandbox {

/** Enters the namespaces that are asked for; that of process IDs begins with the next child. */
void EnterNamespaces(const Options& options);

}  // namespace sandbox
