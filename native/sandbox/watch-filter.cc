#include "watch-filter.h"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <set>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <vector>

#include "report.h"
#include "watched.h"

namespace sandbox {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__riscv) && __riscv_xlen == 64
constexpr uint32_t kArchitecture = AUDIT_ARCH_RISCV64;
#else
constexpr uint32_t kArchitecture = 0;  // not known here
#endif

constexpr uint32_t kNotify = 0x7fc00000;        // SECCOMP_RET_USER_NOTIF, Linux 5.0
constexpr unsigned kNewListener = 1U << 3;      // SECCOMP_FILTER_FLAG_NEW_LISTENER, Linux 5.0
constexpr unsigned kWaitKillable = 1U << 5;     // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19
constexpr uint32_t kClone3 = 435;
constexpr uint32_t kIoUring[] = {425, 426, 427};

class Filter {
 public:
  void Add(sock_filter instruction) { program_.push_back(instruction); }
  void Load(size_t offset) { Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset))); }
  void Return(uint32_t action) { Add(BPF_STMT(BPF_RET | BPF_K, action)); }

  /** `action` where the accumulator is `value`. */
  void ReturnIf(uint32_t value, uint32_t action) {
    Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    Return(action);
  }

  /** Lets call `number` pass where the low half of an argument is `value`; it is 0 where that is a pointer to nothing. */
  void PassWithArgument(uint32_t number, int argument, uint32_t value) {
    Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4));
    Load(LowHalf(argument));
    Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    Return(SECCOMP_RET_ALLOW);
    Load(offsetof(seccomp_data, nr));
  }

  int Install() {
    const sock_fprog program{static_cast<unsigned short>(program_.size()), program_.data()};
    const auto install = [&](unsigned flags) {
      return static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
    };
    const int listener = install(kNewListener | kWaitKillable);
    return listener < 0 && errno == EINVAL ? install(kNewListener) : listener;
  }

 private:
  static size_t LowHalf(int argument) {
    const size_t offset = offsetof(seccomp_data, args) + static_cast<size_t>(argument) * sizeof(uint64_t);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? offset : offset + sizeof(uint32_t);
  }

  std::vector<sock_filter> program_;
};

/** Linux 5.5, the first on which a call can go on that was looked at. */
bool IsKernelNewEnough() {
  utsname names{};
  int major = 0;
  int minor = 0;
  if (uname(&names) != 0 || sscanf(names.release, "%d.%d", &major, &minor) != 2) return false;
  return major > 5 || (major == 5 && minor >= 5);
}

}  // namespace

int WatchSystemCalls() {
  if (kArchitecture == 0) Fail("observation", ENOSYS, "this architecture");
  if (!IsKernelNewEnough()) Fail("observation", ENOSYS, "the kernel is too old");
  Filter filter;
  filter.Load(offsetof(seccomp_data, arch));
  filter.Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
  filter.Return(kNotify);  // a program of another architecture: that much is said of it
  filter.Load(offsetof(seccomp_data, nr));
  // As in the sandbox: callers fall back to calls whose arguments can be seen.
  filter.ReturnIf(kClone3, SECCOMP_RET_ERRNO | ENOSYS);
  for (const uint32_t number : kIoUring) filter.ReturnIf(number, SECCOMP_RET_ERRNO | ENOSYS);
  filter.PassWithArgument(SYS_tgkill, 2, SIGURG);  // by which Go's runtime stops its own threads, all the time
  filter.PassWithArgument(SYS_sendto, 4, 0);
  std::set<uint32_t> numbers;
  for (const Watched& watched : WatchedCalls()) numbers.insert(watched.number);
  for (const uint32_t number : numbers) filter.ReturnIf(number, kNotify);
  filter.Return(SECCOMP_RET_ALLOW);
  const int listener = filter.Install();
  if (listener < 0) Fail("observation", errno, "the filter of system calls");
  return listener;
}

}  // namespace sandbox
