#include "namespaces.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "identity.h"
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

/** Ends as the plugin did, so that the host is told the truth. */
[[noreturn]] void EndLike(int status) {
  if (WIFSIGNALED(status)) {
    signal(WTERMSIG(status), SIG_DFL);
    kill(getpid(), WTERMSIG(status));
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

[[noreturn]] void WaitForFirstProcess(const Options& options, pid_t child) {
  Report("pid " + std::to_string(child));
  // The host reads the ends of the others; the write end of the pipe that the child watches stays open.
  close(ReportDescriptor());
  close(STDOUT_FILENO);
  close(STDERR_FILENO);
  TakeIdentity(options);
  GiveUpCapabilities();
  EndWithParent(options.parent);
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(child, &status, 0);
    if (ended == child) EndLike(status);
    if (ended < 0 && errno != EINTR) _exit(EXIT_FAILURE);
  }
}

/** Read end of a pipe whose write end the waiting process alone holds. */
int waiting_process = -1;

}  // namespace

void EnterNamespaces(const Options& options) {
  if (options.user_namespace) EnterUserNamespace();
  if (options.mounts) Enter(CLONE_NEWNS, "mounts");
  if (options.ipc_namespace) Enter(CLONE_NEWIPC, "ipc-namespace");
  if (options.network_namespace) Enter(CLONE_NEWNET, "network-namespace");
  if (options.pid_namespace) Enter(CLONE_NEWPID, "pid-namespace");
}

void BecomeFirstProcess(const Options& options) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) Fail("pid-namespace", errno, "a pipe");
  const pid_t child = fork();
  if (child < 0) Fail("pid-namespace", errno, "its first process");
  if (child > 0) {
    close(ends[0]);
    WaitForFirstProcess(options, child);
  }
  close(ends[1]);
  waiting_process = ends[0];
}

void EndWithParent(pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) Fail("parent-death", errno, "");
  if (waiting_process < 0) {
    if (getppid() != parent) _exit(EXIT_FAILURE);  // it has ended meanwhile
    return;
  }
  pollfd watched{waiting_process, 0, 0};
  if (poll(&watched, 1, 0) != 0) _exit(EXIT_FAILURE);
}

}  // namespace sandbox
