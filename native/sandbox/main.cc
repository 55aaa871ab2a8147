// Confines itself as the command line says, then becomes the plugin; what supervises that stays above it. Every measure has
// its own file; their order is here.

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "identity.h"
#include "landlock.h"
#include "mounts.h"
#include "namespaces.h"
#include "observe.h"
#include "options.h"
#include "report.h"
#include "seccomp.h"
#include "supervisor.h"

namespace sandbox {
namespace {

constexpr long kCloseRange = 436;
/** Where the report's descriptor is moved to: the first after the standard ones. */
constexpr int kReportAt = STDERR_FILENO + 1;

/** Where the lines of an observation go; such a launcher has it besides. */
constexpr int kSightingsAt = kReportAt + 1;

/** What the host had open is none of the plugin's business. */
void CloseInherited(int first) {
  if (ReportDescriptor() != kReportAt) Fail("arguments", EINVAL, "the report's descriptor has to be 3");
  if (fcntl(kReportAt, F_SETFD, FD_CLOEXEC) != 0) Fail("descriptors", errno, "the report's");
  if (syscall(kCloseRange, first, ~0U, 0) == 0) return;
  const long end = sysconf(_SC_OPEN_MAX);
  for (int descriptor = first; descriptor < end; ++descriptor) close(descriptor);
}

void JoinControlGroups(const Options& options) {
  for (const std::string& path : options.control_groups) {
    const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, "0", 1) != 1) Fail("control-group", errno, path);
    close(file);
  }
}

/** Of this process and, where the kernel schedules sessions as groups (sched(7), autogroup), of all in this session. */
void LowerPriority(const Options& options) {
  if (options.nice == 0) return;
  errno = 0;
  if (nice(options.nice) == -1 && errno != 0) Fail("cpu-weight", errno, "");
  const int file = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  const std::string value = std::to_string(options.nice);
  // May be refused for being the second within a while: the process has its own priority all the same.
  [[maybe_unused]] const ssize_t written = write(file, value.data(), value.size());
  close(file);
}

void SetLimits(const Options& options) {
  for (const auto& [resource, value] : options.limits) {
    rlimit limit{};
    if (getrlimit(resource, &limit) != 0) Fail("limits", errno, "");
    limit.rlim_max = std::min(limit.rlim_max, value);
    limit.rlim_cur = std::min(limit.rlim_cur, value);
    // Those who know that they need more files raise their own limit up to the hard one.
    if (resource == RLIMIT_NOFILE) limit.rlim_cur = limit.rlim_max;
    if (setrlimit(resource, &limit) != 0) Fail("limits", errno, "");
  }
}

/** As after a boot: a signal that the host ignores or blocks would stay so. */
void ResetSignals() {
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void Launch(const Options& options) {
  CloseInherited(options.observe ? kSightingsAt + 1 : kReportAt + 1);
  ResetSignals();
  if (options.file_mask) umask(*options.file_mask);
  JoinControlGroups(options);
  if (options.observe) BecomeObserved(options.parent, kSightingsAt);
  else if (!options.pid_namespace) BecomeSupervised(options);
  LowerPriority(options);
  EnterNamespaces(options);
  if (options.pid_namespace) BecomeFirstProcess(options);
  if (options.mounts) ShowPlaces(options);
  if (!options.folder.empty() && chdir(options.folder.c_str()) != 0) Fail("folder", errno, options.folder);
  TakeIdentity(options);
  SetLimits(options);
  if (options.no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) Fail("no-new-privileges", errno, "");
  if (options.landlock) RestrictToPlaces(options);
  EndWithParent();
  if (options.system_calls || options.unix_sockets_only) {
    FilterSystemCalls(options.system_calls, options.unix_sockets_only);
  }
  if (options.observe) BeginObservation();
  LeaveFirstProcess();
  const std::string executable = options.executable.empty() ? options.command[0] : options.executable;
  execv(executable.c_str(), options.command);
  Fail("exec", errno, executable);
}

}  // namespace
}  // namespace sandbox

int main(int count, char** arguments) { sandbox::Launch(sandbox::ParseOptions(count, arguments)); }
