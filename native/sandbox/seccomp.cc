#include "seccomp.h"

#include <cerrno>
#include <cstddef>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <vector>

#include "report.h"

namespace sandbox {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__riscv) && __riscv_xlen == 64
constexpr uint32_t kArchitecture = AUDIT_ARCH_RISCV64;
#else
constexpr uint32_t kArchitecture = 0;  // not known here: no filter
#endif

#if defined(__x86_64__)
constexpr uint32_t kX32Bit = 0x40000000;
#endif
// Numbers that older headers lack; the same on every architecture.
constexpr uint32_t kIoUringSetup = 425, kIoUringEnter = 426, kIoUringRegister = 427;
constexpr uint32_t kOpenTree = 428, kMoveMount = 429, kFsOpen = 430, kFsConfig = 431, kFsMount = 432, kFsPick = 433;
constexpr uint32_t kClone3 = 435, kPidfdGetfd = 438, kMountSetattr = 442, kQuotactlFd = 443, kOpenTreeAttr = 467;

constexpr uint32_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                    CLONE_NEWNET | 0x02000000 /* CLONE_NEWCGROUP */;

constexpr uint32_t kDenied[] = {
    // other processes
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, kPidfdGetfd,
    // the file system's shape, and ways to files that go past it
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, kOpenTree, kMoveMount, kFsOpen, kFsConfig, kFsMount, kFsPick,
    kMountSetattr, kOpenTreeAttr, SYS_open_by_handle_at, SYS_name_to_handle_at, SYS_swapon, SYS_swapoff, SYS_quotactl,
    kQuotactlFd, SYS_acct, SYS_nfsservctl,
    // namespaces
    SYS_unshare, SYS_setns,
    // the kernel itself
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_init_module, SYS_finit_module, SYS_delete_module,
    SYS_kexec_load,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef SYS_iopl
    SYS_iopl, SYS_ioperm, SYS_modify_ldt,
#endif
    SYS_reboot, SYS_syslog, SYS_vhangup,
    // keyrings are not part of any namespace
    SYS_add_key, SYS_request_key, SYS_keyctl,
    // the clock and the machine's name
    SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_sethostname, SYS_setdomainname,
};

/** Callers fall back to the older call, whose arguments can be seen, or to plain reads and writes. */
constexpr uint32_t kMissing[] = {kClone3, kIoUringSetup, kIoUringEnter, kIoUringRegister};

class Filter {
 public:
  Filter() {
    Load(offsetof(seccomp_data, arch));
    SkipUnless(BPF_JEQ, kArchitecture, 1);
    Jump(1);
    Return(SECCOMP_RET_ERRNO | ENOSYS);
    Load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
    SkipUnless(BPF_JGE, kX32Bit, 1);
    Return(SECCOMP_RET_ERRNO | ENOSYS);
#endif
  }

  void Refuse(uint32_t number, uint32_t error) {
    SkipUnless(BPF_JEQ, number, 1);
    Return(SECCOMP_RET_ERRNO | error);
  }

  /** Refuses `number` where the low half of an argument compares so with `value`. */
  void RefuseArgument(uint32_t number, int argument, uint16_t comparison, uint32_t value, bool refuse_if, uint32_t error) {
    SkipUnless(BPF_JEQ, number, 4);
    Load(LowHalf(argument));
    program_.push_back(
        BPF_JUMP(static_cast<uint16_t>(BPF_JMP | comparison | BPF_K), value, static_cast<uint8_t>(refuse_if ? 0 : 1),
                 static_cast<uint8_t>(refuse_if ? 1 : 0)));
    Return(SECCOMP_RET_ERRNO | error);
    Load(offsetof(seccomp_data, nr));
  }

  void Install() {
    Return(SECCOMP_RET_ALLOW);
    const sock_fprog program{static_cast<unsigned short>(program_.size()), program_.data()};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) Fail("system-calls", errno, "the filter");
  }

 private:
  static uint32_t LowHalf(int argument) {
    const uint32_t offset = offsetof(seccomp_data, args) + static_cast<uint32_t>(argument) * sizeof(uint64_t);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? offset : offset + sizeof(uint32_t);
  }

  void Load(size_t offset) {
    program_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  }

  /** Skips `count` instructions unless the accumulator compares so. */
  void SkipUnless(uint16_t comparison, uint32_t value, uint8_t count) {
    program_.push_back(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | comparison | BPF_K), value, 0, count));
  }

  void Jump(uint32_t count) { program_.push_back(BPF_JUMP(BPF_JMP | BPF_JA, count, 0, 0)); }
  void Return(uint32_t action) { program_.push_back(BPF_STMT(BPF_RET | BPF_K, action)); }

  std::vector<sock_filter> program_;
};

}  // namespace

void FilterSystemCalls(bool deny, bool unix_sockets_only) {
  if (kArchitecture == 0) Fail("system-calls", ENOSYS, "this architecture");
  Filter filter;
  if (deny) {
    for (const uint32_t number : kDenied) filter.Refuse(number, EPERM);
    filter.RefuseArgument(SYS_clone, 0, BPF_JSET, kNewNamespaces, true, EPERM);
    filter.RefuseArgument(SYS_ioctl, 1, BPF_JEQ, TIOCSTI, true, EPERM);
  }
  for (const uint32_t number : kMissing) filter.Refuse(number, ENOSYS);
  if (unix_sockets_only) {
    filter.RefuseArgument(SYS_socket, 0, BPF_JEQ, AF_UNIX, false, EACCES);
    filter.RefuseArgument(SYS_socketpair, 0, BPF_JEQ, AF_UNIX, false, EACCES);
  }
  filter.Install();
}

}  // namespace sandbox
