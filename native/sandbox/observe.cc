#include "observe.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "observed-process.h"
#include "report.h"
#include "sightings.h"
#include "supervisor.h"
#include "usage.h"
#include "watch-filter.h"
#include "watcher.h"

namespace sandbox {
namespace {

constexpr int kLookMilliseconds = 50;
/** How long the reader of the lines may take once all is over. */
constexpr int kLastWordsMilliseconds = 2'000;

/** The child's end of the socket over which it hands on the listening descriptor. */
int handing_over = -1;

void SendDescriptor(int socket, int descriptor) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptor);
  memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  if (sendmsg(socket, &message, 0) != 1) Fail("observation", errno, "handing on its descriptor");
}

/** @returns -1 where the child has ended without it. */
int ReceiveDescriptor(int socket) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t received = 0;
  do {
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  const cmsghdr* header = received == 1 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return -1;
  int descriptor = -1;
  memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  return descriptor;
}

/** Answers the calls of the child and of all that come from it. */
class Supervisor {
 public:
  Supervisor(int listener, int sightings, pid_t child)
      : listener_(listener), output_(sightings), child_(child), tree_(getpid()), sightings_(sightings),
        usage_(tree_, sightings_), watcher_(tree_, sightings_, usage_) {
    seccomp_notif_sizes sizes{};
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0) _exit(EXIT_FAILURE);
    call_.resize(std::max<size_t>(sizes.seccomp_notif, sizeof(seccomp_notif)));
    answer_.resize(std::max<size_t>(sizes.seccomp_notif_resp, sizeof(seccomp_notif_resp)));
    fcntl(output_, F_SETFL, fcntl(output_, F_GETFL) | O_NONBLOCK);
  }

  /** @returns the child's status, as wait(2) gives it. */
  int Run() {
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    const int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    int status = 0;
    bool goes_on = signals >= 0;
    while (goes_on) {
      pollfd sources[] = {{listener_, POLLIN, 0}, {signals, POLLIN, 0}, {output_, 0, 0}};
      if (sightings_.IsPending()) sources[2].events = POLLOUT;
      else sources[2].fd = -1;
      if (poll(sources, 3, kLookMilliseconds) < 0 && errno != EINTR) break;
      if (sources[0].revents & POLLIN) Answer();
      else if (sources[0].revents != 0) listener_ = Closed(listener_);  // nobody is watched any more
      if (sources[1].revents != 0) goes_on = TakeSignals(signals, &status);
      usage_.Look();
      sightings_.Flush();
    }
    // Without a listener the calls that are watched fail: what is left of the tree cannot grow any more.
    listener_ = Closed(listener_);
    tree_.End();
    FlushLast();
    return status;
  }

 private:
  static int Closed(int descriptor) {
    if (descriptor >= 0) close(descriptor);
    return -1;
  }

  void Answer() {
    memset(call_.data(), 0, call_.size());
    auto* call = reinterpret_cast<seccomp_notif*>(call_.data());
    if (ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, call) != 0) return;  // it was interrupted, or has ended meanwhile
    const int error = watcher_.Look(*call);
    memset(answer_.data(), 0, answer_.size());
    auto* answer = reinterpret_cast<seccomp_notif_resp*>(answer_.data());
    answer->id = call->id;
    answer->error = -error;
    answer->flags = error == 0 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
    ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, answer);
  }

  /** False once there is nothing left to watch. */
  bool TakeSignals(int signals, int* status) {
    signalfd_siginfo info{};
    bool goes_on = true;
    while (read(signals, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGTERM) goes_on = false;
    }
    int ended_status = 0;
    for (pid_t ended = 0; (ended = waitpid(-1, &ended_status, WNOHANG)) > 0;) {
      if (ended != child_) continue;
      *status = ended_status;
      goes_on = false;
    }
    return goes_on;
  }

  void FlushLast() {
    for (int waited = 0; sightings_.IsPending() && waited < kLastWordsMilliseconds; waited += kLookMilliseconds) {
      pollfd output{output_, POLLOUT, 0};
      poll(&output, 1, kLookMilliseconds);
      sightings_.Flush();
    }
  }

  int listener_;
  int output_;
  pid_t child_;
  ProcessTree tree_;
  Sightings sightings_;
  Usage usage_;
  Watcher watcher_;
  std::vector<char> call_;
  std::vector<char> answer_;
};

void BlockSignals() {
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGCHLD);
  sigaddset(&watched, SIGTERM);
  sigprocmask(SIG_BLOCK, &watched, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void UnblockSignals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

pid_t Fork() {
  const pid_t child = fork();
  if (child < 0) Fail("observation", errno, "a process");
  return child;
}

[[noreturn]] void EndLikeChild(pid_t child) {
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(child, &status, 0);
    if (ended == child) EndLike(status);
    if (ended < 0 && errno != EINTR) _exit(EXIT_FAILURE);
  }
}

/** The host reads the ends of the plugin's own descriptors. */
void CloseOutputs() {
  close(ReportDescriptor());
  close(STDOUT_FILENO);
  close(STDERR_FILENO);
}

[[noreturn]] void Supervise(int socket, int sightings, pid_t child) {
  Report("pid " + std::to_string(child));
  CloseOutputs();
  const int listener = ReceiveDescriptor(socket);
  close(socket);
  if (listener < 0) EndLikeChild(child);
  EndLike(Supervisor(listener, sightings, child).Run());
}

}  // namespace

void BecomeObserved(pid_t parent, int sightings) {
  const pid_t group = getpid();
  const pid_t watching = Fork();
  if (watching > 0) {
    CloseOutputs();
    close(sightings);
    EndWith(parent, SIGKILL);
    EndLikeChild(watching);
  }
  // In a group of its own it outlives a signal to the plugin's, and ends what has left that group.
  BlockSignals();
  if (setpgid(0, 0) != 0) Fail("observation", errno, "a process group");
  if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    Fail("observation", errno, "the end with its parent");
  }
  if (getppid() != group) _exit(EXIT_FAILURE);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) Fail("observation", errno, "a socket");
  const pid_t child = Fork();
  if (child > 0) {
    close(ends[1]);
    Supervise(ends[0], sightings, child);
  }
  close(ends[0]);
  close(sightings);
  signal(SIGPIPE, SIG_DFL);
  UnblockSignals();
  if (setpgid(0, group) != 0) Fail("observation", errno, "the process group");
  handing_over = ends[1];
  TakeParent(getppid());
}

void BeginObservation() {
  const int listener = WatchSystemCalls();
  SendDescriptor(handing_over, listener);
  close(listener);
  close(handing_over);
}

}  // namespace sandbox
