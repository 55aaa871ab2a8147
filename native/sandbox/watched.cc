#include "watched.h"

#include <sys/syscall.h>

namespace sandbox {
namespace {

// Numbers that older headers lack; the same on every architecture.
constexpr uint32_t kPidfdSendSignal = 424, kOpenTree = 428, kMoveMount = 429, kFsOpen = 430, kFsConfig = 431;
constexpr uint32_t kFsMount = 432, kFsPick = 433, kOpenAt2 = 437, kPidfdGetfd = 438;
constexpr uint32_t kMountSetattr = 442, kQuotactlFd = 443, kChmodAt2 = 452;

/** Calls that name the current folder alone; newer architectures have only those that name any. */
const std::vector<Watched> kOldCalls = {
#ifdef SYS_open
    {SYS_open, "open", Look::kOpen, "", 0},
#endif
#ifdef SYS_creat
    {SYS_creat, "creat", Look::kPath, "create", 0},
#endif
#ifdef SYS_mkdir
    {SYS_mkdir, "mkdir", Look::kPath, "create", 0},
#endif
#ifdef SYS_rmdir
    {SYS_rmdir, "rmdir", Look::kPath, "remove", 0},
#endif
#ifdef SYS_unlink
    {SYS_unlink, "unlink", Look::kPath, "remove", 0},
#endif
#ifdef SYS_rename
    {SYS_rename, "rename", Look::kPath, "remove", 0},
    {SYS_rename, "rename", Look::kPath, "create", 1},
#endif
#ifdef SYS_renameat
    {SYS_renameat, "renameat", Look::kPath, "remove", 1, 0},
    {SYS_renameat, "renameat", Look::kPath, "create", 3, 2},
#endif
#ifdef SYS_link
    {SYS_link, "link", Look::kPath, "read", 0},
    {SYS_link, "link", Look::kPath, "create", 1},
#endif
#ifdef SYS_symlink
    {SYS_symlink, "symlink", Look::kPath, "create", 1},
#endif
#ifdef SYS_readlink
    {SYS_readlink, "readlink", Look::kReadLink, "read", 0},
#endif
#ifdef SYS_chmod
    {SYS_chmod, "chmod", Look::kPath, "change", 0},
#endif
#ifdef SYS_chown
    {SYS_chown, "chown", Look::kOwner, "change", 0},
#endif
#ifdef SYS_lchown
    {SYS_lchown, "chown", Look::kOwner, "change", 0},
#endif
#ifdef SYS_mknod
    {SYS_mknod, "mknod", Look::kNode, "create", 0},
#endif
#ifdef SYS_fork
    {SYS_fork, "fork", Look::kClone},
#endif
#ifdef SYS_vfork
    {SYS_vfork, "vfork", Look::kClone},
#endif
#ifdef SYS_utime
    {SYS_utime, "utime", Look::kPath, "change", 0},
#endif
#ifdef SYS_utimes
    {SYS_utimes, "utimes", Look::kPath, "change", 0},
#endif
#ifdef SYS_futimesat
    {SYS_futimesat, "futimesat", Look::kPath, "change", 1, 0},
#endif
#ifdef SYS_iopl
    {SYS_iopl, "iopl", Look::kCall},
    {SYS_ioperm, "ioperm", Look::kCall},
#endif
#ifdef SYS_kexec_file_load
    {SYS_kexec_file_load, "kexec_file_load", Look::kCall},
#endif
};

const std::vector<Watched> kEveryCall = {
    {SYS_openat, "openat", Look::kOpen, "", 1, 0},
    {kOpenAt2, "openat2", Look::kOpenHow, "", 1, 0},
    {SYS_mkdirat, "mkdirat", Look::kPath, "create", 1, 0},
    {SYS_unlinkat, "unlinkat", Look::kPath, "remove", 1, 0},
    {SYS_renameat2, "renameat2", Look::kPath, "remove", 1, 0},
    {SYS_renameat2, "renameat2", Look::kPath, "create", 3, 2},
    {SYS_linkat, "linkat", Look::kPath, "read", 1, 0},
    {SYS_linkat, "linkat", Look::kPath, "create", 3, 2},
    {SYS_symlinkat, "symlinkat", Look::kPath, "create", 2, 1},
    {SYS_readlinkat, "readlinkat", Look::kReadLink, "read", 1, 0},
    {SYS_truncate, "truncate", Look::kPath, "write", 0},
    {SYS_fchmodat, "fchmodat", Look::kPath, "change", 1, 0},
    {kChmodAt2, "fchmodat2", Look::kPath, "change", 1, 0},
    {SYS_fchownat, "chown", Look::kOwner, "change", 1, 0},
    {SYS_fchown, "chown", Look::kDescriptorOwner},
    {SYS_mknodat, "mknod", Look::kNode, "create", 1, 0},
    {SYS_utimensat, "utimensat", Look::kPath, "change", 1, 0},
    {SYS_setxattr, "setxattr", Look::kPath, "change", 0},
    {SYS_lsetxattr, "lsetxattr", Look::kPath, "change", 0},
    {SYS_removexattr, "removexattr", Look::kPath, "change", 0},
    {SYS_lremovexattr, "lremovexattr", Look::kPath, "change", 0},
    {SYS_chdir, "chdir", Look::kPath, "read", 0},
    {SYS_inotify_add_watch, "inotify_add_watch", Look::kPath, "read", 1},
    {SYS_execve, "execve", Look::kExecute, "execute", 0},
    {SYS_execveat, "execveat", Look::kExecute, "execute", 1, 0},
    {SYS_socket, "socket", Look::kSocket},
    {SYS_connect, "connect", Look::kAddress, "connect", 1},
    {SYS_bind, "bind", Look::kAddress, "bind", 1},
    {SYS_sendto, "sendto", Look::kSendTo, "connect", 4},
    // other processes
    {SYS_ptrace, "ptrace", Look::kCall},
    {SYS_process_vm_readv, "process_vm_readv", Look::kSignal},
    {SYS_process_vm_writev, "process_vm_writev", Look::kSignal},
    {SYS_kcmp, "kcmp", Look::kCall},
    {kPidfdGetfd, "pidfd_getfd", Look::kCall},
    {kPidfdSendSignal, "pidfd_send_signal", Look::kCall},
    {SYS_kill, "kill", Look::kSignal},
    {SYS_tkill, "kill", Look::kSignal},
    {SYS_tgkill, "kill", Look::kSignal},
    {SYS_rt_sigqueueinfo, "kill", Look::kSignal},
    {SYS_rt_tgsigqueueinfo, "kill", Look::kSignal},
    {SYS_prlimit64, "prlimit64", Look::kProcess},
    {SYS_sched_setscheduler, "sched_setscheduler", Look::kCall},
    {SYS_sched_setattr, "sched_setattr", Look::kCall},
    // who it is
    {SYS_setuid, "setuid", Look::kIdentity},
    {SYS_setreuid, "setuid", Look::kIdentity},
    {SYS_setresuid, "setuid", Look::kIdentity},
    {SYS_setfsuid, "setuid", Look::kIdentity},
    {SYS_setgid, "setgid", Look::kIdentity},
    {SYS_setregid, "setgid", Look::kIdentity},
    {SYS_setresgid, "setgid", Look::kIdentity},
    {SYS_setfsgid, "setgid", Look::kIdentity},
    {SYS_setgroups, "setgroups", Look::kCall},
    {SYS_capset, "capset", Look::kCall},
    // the file system's shape, and ways to files that go past it
    {SYS_mount, "mount", Look::kCall},
    {SYS_umount2, "umount2", Look::kCall},
    {SYS_pivot_root, "pivot_root", Look::kCall},
    {SYS_chroot, "chroot", Look::kCall},
    {kOpenTree, "open_tree", Look::kCall},
    {kMoveMount, "move_mount", Look::kCall},
    {kFsOpen, "fsopen", Look::kCall},
    {kFsConfig, "fsconfig", Look::kCall},
    {kFsMount, "fsmount", Look::kCall},
    {kFsPick, "fspick", Look::kCall},
    {kMountSetattr, "mount_setattr", Look::kCall},
    {SYS_open_by_handle_at, "open_by_handle_at", Look::kCall},
    {SYS_name_to_handle_at, "name_to_handle_at", Look::kCall},
    {SYS_swapon, "swapon", Look::kCall},
    {SYS_swapoff, "swapoff", Look::kCall},
    {SYS_quotactl, "quotactl", Look::kCall},
    {kQuotactlFd, "quotactl_fd", Look::kCall},
    {SYS_acct, "acct", Look::kCall},
    {SYS_fanotify_init, "fanotify_init", Look::kCall},
    // processes and namespaces
    {SYS_clone, "clone", Look::kClone},
    {SYS_unshare, "unshare", Look::kClone},
    {SYS_setns, "setns", Look::kCall},
    {SYS_exit_group, "exit_group", Look::kEnd},
    // the kernel itself
    {SYS_bpf, "bpf", Look::kCall},
    {SYS_perf_event_open, "perf_event_open", Look::kCall},
    {SYS_userfaultfd, "userfaultfd", Look::kCall},
    {SYS_init_module, "init_module", Look::kCall},
    {SYS_finit_module, "finit_module", Look::kCall},
    {SYS_delete_module, "delete_module", Look::kCall},
    {SYS_kexec_load, "kexec_load", Look::kCall},
    {SYS_reboot, "reboot", Look::kCall},
    {SYS_syslog, "syslog", Look::kCall},
    {SYS_vhangup, "vhangup", Look::kCall},
    {SYS_add_key, "add_key", Look::kCall},
    {SYS_request_key, "request_key", Look::kCall},
    {SYS_keyctl, "keyctl", Look::kCall},
    {SYS_settimeofday, "settimeofday", Look::kCall},
    {SYS_clock_settime, "clock_settime", Look::kCall},
    {SYS_sethostname, "sethostname", Look::kCall},
    {SYS_setdomainname, "setdomainname", Look::kCall},
    {SYS_mlock, "mlock", Look::kCall},
    {SYS_mlockall, "mlockall", Look::kCall},
};

std::vector<Watched> Joined() {
  std::vector<Watched> all = kEveryCall;
  all.insert(all.end(), kOldCalls.begin(), kOldCalls.end());
  return all;
}

}  // namespace

const std::vector<Watched>& WatchedCalls() {
  static const std::vector<Watched> all = Joined();
  return all;
}

}  // namespace sandbox
