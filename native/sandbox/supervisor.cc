#include "supervisor.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "identity.h"
#include "report.h"

namespace sandbox {

[[noreturn]] void EndLike(int status) {
  if (WIFSIGNALED(status)) {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // the core is the plugin's to leave
    sigset_t all;
    sigfillset(&all);
    signal(WTERMSIG(status), SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &all, nullptr);
    kill(getpid(), WTERMSIG(status));
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

void EndWith(pid_t expected, int number) {
  if (prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0) Fail("parent-death", errno, "");
  if (getppid() != expected) _exit(EXIT_FAILURE);  // it has ended meanwhile
}

namespace {

/** How long what was killed may take to end; then the kernel holds it, and nobody can do more. */
constexpr int kEndMs = 1'000;

/** Between the process outside of the namespace and those inside; each end notes that the other is gone. */
int outside = -1;
bool is_first = false;
pid_t parent = 0;

sigset_t Watched() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&watched, number);
  return watched;
}

/** Nobody of the plugin's user reads this process's memory or writes to it by /proc. */
void Withdraw() {
  close(ReportDescriptor());
  // The host reads the ends of these until the last one is closed.
  close(STDOUT_FILENO);
  close(STDERR_FILENO);
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) _exit(EXIT_FAILURE);
}

/** A group of its own: what a plugin sends to its group stays with the plugin. */
void BecomePlugin() {
  setpgid(0, 0);
  const sigset_t watched = Watched();
  sigprocmask(SIG_UNBLOCK, &watched, nullptr);
}

/** Kills the children that are in the list by now: proc_pid_task(5). */
void KillChildren(int list) {
  char text[4096];
  pid_t child = 0;
  lseek(list, 0, SEEK_SET);
  for (ssize_t count; (count = read(list, text, sizeof text)) > 0;) {
    for (const char* next = text; next < text + count; ++next) {
      if (*next >= '0' && *next <= '9') {
        child = child * 10 + (*next - '0');
      } else {
        if (child > 0) kill(child, SIGKILL);
        child = 0;
      }
    }
  }
}

/** Orphans come to this process, so whoever was started, however deep, is its child in the end. */
void EndDescendants(int list) {
  if (list < 0) return;  // this kernel does not tell: the host ends the group
  const sigset_t watched = Watched();
  timespec start{};
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (;;) {
    KillChildren(list);
    pid_t ended = 0;
    while ((ended = waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    if (ended < 0 && errno == ECHILD) return;
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((now.tv_sec - start.tv_sec) * 1'000 + (now.tv_nsec - start.tv_nsec) / 1'000'000 > kEndMs) return;
    const timespec pause{0, 2'000'000};
    sigtimedwait(&watched, nullptr, &pause);
  }
}

[[noreturn]] void Supervise(pid_t plugin, int list) {
  const sigset_t watched = Watched();
  for (;;) {
    siginfo_t info{};
    if (sigwaitinfo(&watched, &info) < 0) continue;
    if (info.si_signo != SIGCHLD) {
      kill(plugin, SIGKILL);
      EndDescendants(list);
      EndLike(SIGKILL);
    }
    for (;;) {
      int status = 0;
      const pid_t ended = waitpid(-1, &status, WNOHANG);
      if (ended == plugin) {
        EndDescendants(list);
        EndLike(status);
      }
      if (ended <= 0) break;
    }
  }
}

/** A message to outside: the kernel adds who sends it, numbered as the receiver sees it. */
void Tell(int status) {
  if (send(outside, &status, sizeof status, MSG_NOSIGNAL) != sizeof status) _exit(EXIT_FAILURE);
}

/** @returns the sender; 0 where nobody is there any more. */
pid_t Hear(int* status) {
  iovec part{status, sizeof *status};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t length = 0;
  do {
    length = recvmsg(outside, &message, MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  if (length != sizeof *status) return 0;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS) return 0;
  return reinterpret_cast<const ucred*>(CMSG_DATA(header))->pid;
}

[[noreturn]] void WaitOutside(const Options& options, pid_t first) {
  TakeIdentity(options);
  GiveUpCapabilities();
  EndWith(options.parent, SIGKILL);
  int status = 0;
  if (const pid_t plugin = Hear(&status); plugin > 0) Report("pid " + std::to_string(plugin));
  Withdraw();
  const bool has_ended = Hear(&status) > 0;
  int own = 0;
  while (waitpid(first, &own, 0) < 0) {
    if (errno != EINTR) _exit(EXIT_FAILURE);
  }
  EndLike(has_ended ? status : own);
}

}  // namespace

void TakeParent(pid_t process) { parent = process; }

void BecomeSupervised(const Options& options) {
  const sigset_t watched = Watched();
  sigprocmask(SIG_BLOCK, &watched, nullptr);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) Fail("parent-death", errno, "adopting orphans");
  EndWith(options.parent, SIGTERM);
  const pid_t self = getpid();
  const std::string children = "/proc/self/task/" + std::to_string(self) + "/children";
  const int list = open(children.c_str(), O_RDONLY | O_CLOEXEC);
  const pid_t child = fork();
  if (child < 0) Fail("fork", errno, "");
  if (child == 0) {
    if (list >= 0) close(list);
    parent = self;
    BecomePlugin();
    EndWithParent();
    return;
  }
  Report("pid " + std::to_string(child));
  KeepRightToKill();
  EndWith(options.parent, SIGTERM);
  Withdraw();
  Supervise(child, list);
}

void BecomeFirstProcess(const Options& options) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) Fail("pid-namespace", errno, "sockets");
  const int yes = 1;
  if (setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0) Fail("pid-namespace", errno, "sockets");
  const pid_t child = fork();
  if (child < 0) Fail("pid-namespace", errno, "its first process");
  outside = ends[child > 0 ? 0 : 1];
  close(ends[child > 0 ? 1 : 0]);
  if (child > 0) WaitOutside(options, child);
  is_first = true;
  EndWithParent();
}

void LeaveFirstProcess() {
  if (!is_first) return;
  const sigset_t watched = Watched();
  sigprocmask(SIG_BLOCK, &watched, nullptr);
  const pid_t child = fork();
  if (child < 0) Fail("fork", errno, "");
  if (child == 0) {
    is_first = false;
    parent = getppid();
    BecomePlugin();
    EndWithParent();
    Tell(0);
    return;
  }
  Withdraw();
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended < 0 && errno != EINTR) _exit(EXIT_FAILURE);
    if (ended != child) continue;
    Tell(status);
    _exit(EXIT_SUCCESS);  // the kernel ends the others
  }
}

void EndWithParent() {
  if (!is_first) return EndWith(parent, SIGKILL);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) Fail("parent-death", errno, "");
  // Its parent is of another namespace: that one's end of the sockets tells whether it is there.
  pollfd watched{outside, POLLHUP, 0};
  if (poll(&watched, 1, 0) != 0) _exit(EXIT_FAILURE);
}

}  // namespace sandbox
