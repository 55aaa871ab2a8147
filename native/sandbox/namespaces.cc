#include "namespaces.h"

#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "report.h"

namespace sandbox {
namespace {

void WriteFile(const char* path, const std::string& text) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    Fail("user-namespace", errno, path);
  }
  close(file);
}

/** A user namespace in which this user is as before, and may set up the other namespaces. */
void EnterUserNamespace() {
  const uid_t user = geteuid();
  const gid_t group = getegid();
  if (unshare(CLONE_NEWUSER) != 0) Fail("user-namespace", errno, "");
  WriteFile("/proc/self/setgroups", "deny");
  WriteFile("/proc/self/uid_map", std::to_string(user) + " " + std::to_string(user) + " 1");
  WriteFile("/proc/self/gid_map", std::to_string(group) + " " + std::to_string(group) + " 1");
}

void Enter(int flag, const char* measure) {
  if (unshare(flag) != 0) Fail(measure, errno, "");
}

}  // namespace

void EnterNamespaces(const Options& options) {
  if (options.user_namespace) EnterUserNamespace();
  if (options.mounts) Enter(CLONE_NEWNS, "mounts");
  if (options.ipc_namespace) Enter(CLONE_NEWIPC, "ipc-namespace");
  if (options.network_namespace) Enter(CLONE_NEWNET, "network-namespace");
  if (options.pid_namespace) Enter(CLONE_NEWPID, "pid-namespace");
}

}  // namespace sandbox
