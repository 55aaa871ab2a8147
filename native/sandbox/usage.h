#pragma once

#include <cstdint>
#include <sys/types.h>

#include "observed-process.h"
#include "sightings.h"

namespace sandbox {

/** How much the observed processes used at most, as far as looks from time to time can tell. */
class Usage {
 public:
  Usage(const ProcessTree& tree, Sightings& sightings) : tree_(tree), sightings_(sightings) {}

  /** Looks at all of them; not where the last time was so short ago that looking would be all that happens. */
  void Look();
  /** What one has open that is about to end. */
  void LookAtFiles(pid_t process);
  /** What the process of a thread maps now: at every call that is watched, as a thread may be there for a moment only. */
  void LookAtMemory(pid_t thread);
  /** Whether one more process or thread is as many as a plugin may have by default. */
  bool HasRoom();

 private:
  void LookAtAll();

  const ProcessTree& tree_;
  Sightings& sightings_;
  int64_t next_look_ = 0;
  /** Processes and threads at the last look, and those that were asked for since. */
  size_t tasks_ = 0;
};

}  // namespace sandbox
