#pragma once

#include <sys/types.h>

namespace sandbox {

/**
 * Goes on in a child that is to be watched; returns there. The caller stays behind,
 * ends with the child and as it did. Between the two is one that watches: it writes {@link Sightings} to `sightings`, and
 * ends with the caller, and with it all that came from the child. It holds nothing back; it is no measure of a sandbox.
 */
void BecomeObserved(pid_t parent, int sightings);

/** From here on the system calls of this process are watched, the next one too. */
void BeginObservation();

}  // namespace sandbox
