#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sandbox {

/** One thread that waits in a system call, seen from outside. Whatever it says may have changed already. */
class ObservedThread {
 public:
  explicit ObservedThread(pid_t thread) : thread_(thread) {}

  /** Undefined where the memory cannot be read, or there is no end to the text. */
  std::optional<std::string> Text(uint64_t address, size_t most) const;
  std::optional<std::string> Bytes(uint64_t address, size_t size) const;

  /** `path` as an absolute one; `folder` is a descriptor of the thread's, or AT_FDCWD. */
  std::optional<std::string> Absolute(int folder, const std::string& path) const;

 private:
  std::optional<std::string> FolderPath(int folder) const;

  pid_t thread_;
};

/** All processes that come from the one that observes. */
class ProcessTree {
 public:
  explicit ProcessTree(pid_t root) : root_(root) {}

  /** Looks at all processes there are; the root is not among them. */
  std::vector<pid_t> Descendants() const;
  bool Contains(pid_t pid) const;
  /** Sends SIGKILL until none is left, for a few seconds. */
  void End() const;

 private:
  pid_t root_;
};

}  // namespace sandbox
