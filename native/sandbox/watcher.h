#pragma once

#include <linux/seccomp.h>
#include <string>

#include "observed-process.h"
#include "sightings.h"
#include "usage.h"
#include "watched.h"

namespace sandbox {

/** Writes down what system calls are about. It looks from outside, and a moment before the kernel does. */
class Watcher {
 public:
  Watcher(const ProcessTree& tree, Sightings& sightings, Usage& usage)
      : tree_(tree), sightings_(sightings), usage_(usage) {}

  /** @returns 0 where the call is to go on, else the number of the error that it ends with. */
  int Look(const seccomp_notif& call);

 private:
  void LookAt(const Watched& watched, const seccomp_notif& call);
  void Path(const Watched& watched, const seccomp_notif& call, const std::string& access);
  void Open(const Watched& watched, const seccomp_notif& call, uint64_t flags);
  void Address(const Watched& watched, const seccomp_notif& call, uint64_t address, uint64_t length);
  void UnixAddress(const ObservedThread& thread, const std::string& access, const std::string& bytes);
  void Place(const std::string& access, const std::string& path);
  bool IsOfProcesses(const std::string& path, bool* is_own) const;
  void Call(const char* name) { sightings_.Add(std::string("call ") + name); }
  void Unseen(const Watched& watched) { sightings_.Add(std::string("unseen ") + watched.name); }

  const ProcessTree& tree_;
  Sightings& sightings_;
  Usage& usage_;
};

}  // namespace sandbox
