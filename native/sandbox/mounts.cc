#include "mounts.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "report.h"

namespace sandbox {
namespace {

/** Where the file system that was is seen while the new one is made. */
const std::string kOldRoot = "/.old";
/** Any folder that exists: the new root is mounted there for as long as it takes to make it the root. */
constexpr const char* kStage = "/proc";

constexpr uint64_t kAttributeReadOnly = 0x1, kAttributeNoSetUserId = 0x2, kAttributeNoDevices = 0x4;
constexpr long kMountSetattr = 442;
constexpr long kOpenat2 = 437;
constexpr uint64_t kResolveNoSymlinks = 0x04;

/** struct open_how of openat2(2), which older headers lack. */
struct OpenHow {
  uint64_t flags;
  uint64_t mode;
  uint64_t resolve;
};

/** struct mount_attr of mount_setattr(2), which older headers lack. */
struct MountAttributes {
  uint64_t set;
  uint64_t clear;
  uint64_t propagation;
  uint64_t user_namespace;
};

[[noreturn]] void FailAt(const std::string& path) { Fail("mounts", errno, path); }

void MakeFolder(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST) FailAt(path);
}

void MakeParents(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    MakeFolder(path.substr(0, slash), 0755);
  }
}

void MakeEmptyFile(const std::string& path) {
  const int file = open(path.c_str(), O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (file < 0 && access(path.c_str(), F_OK) != 0) FailAt(path);
  close(file);
}

/** A mount's flags that a less privileged namespace may not take away, for kernels without mount_setattr(2). */
unsigned long LockedFlags(const std::string& path) {
  struct statvfs info {};
  if (statvfs(path.c_str(), &info) != 0) return 0;
  unsigned long flags = 0;
  if (info.f_flag & ST_NOEXEC) flags |= MS_NOEXEC;
  if (info.f_flag & ST_NOATIME) flags |= MS_NOATIME;
  if (info.f_flag & ST_NODIRATIME) flags |= MS_NODIRATIME;
  if (info.f_flag & ST_RELATIME) flags |= MS_RELATIME;
  return flags;
}

void Restrict(const std::string& path, bool read_only) {
  MountAttributes attributes{};
  attributes.set = kAttributeNoSetUserId | kAttributeNoDevices | (read_only ? kAttributeReadOnly : 0);
  if (syscall(kMountSetattr, AT_FDCWD, path.c_str(), AT_RECURSIVE, &attributes, sizeof attributes) == 0) return;
  if (errno != ENOSYS) FailAt(path);
  const unsigned long flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | (read_only ? static_cast<unsigned long>(MS_RDONLY) : 0UL);
  if (mount(nullptr, path.c_str(), nullptr, flags | LockedFlags(path), nullptr) != 0) FailAt(path);
}

/**
 * Names a file by a path that the host has found to be without links. Who owns a folder on the way may have put one there
 * since: this is no measure that could be done without, so the plugin does not start.
 */
int OpenWithoutLinks(const std::string& path, const std::string& shown) {
  const OpenHow how{static_cast<uint64_t>(O_PATH | O_NOFOLLOW | O_CLOEXEC), 0, kResolveNoSymlinks};
  const long file = syscall(kOpenat2, AT_FDCWD, path.c_str(), &how, sizeof how);
  if (file >= 0) return static_cast<int>(file);
  if (errno != ENOSYS && errno != EPERM) Fail("place", errno, shown);
  // Linux before 5.6, or a container's filter that does not know the call: the end at least is no link.
  const int end = open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (end < 0) Fail("place", errno, shown);
  return end;
}

bool IsSame(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

void Bind(const Place& place) {
  const std::string source = kOldRoot + place.source;
  const int file = OpenWithoutLinks(source, place.source);
  struct stat status {};
  if (fstat(file, &status) != 0) FailAt(place.source);
  close(file);
  if (S_ISLNK(status.st_mode)) Fail("place", ELOOP, place.source);
  MakeParents(place.path);
  if (S_ISDIR(status.st_mode)) {
    MakeFolder(place.path, 0755);
  } else {
    MakeEmptyFile(place.path);
  }
  if (mount(source.c_str(), place.path.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    // Replaced this moment: nothing that speaks against mounts.
    if (errno == ENOENT || errno == ENOTDIR) Fail("place", errno, place.source);
    FailAt(place.path);
  }
  struct stat shown {};
  if (lstat(place.path.c_str(), &shown) != 0) FailAt(place.path);
  if (!IsSame(shown, status)) Fail("place", ELOOP, place.source);  // what was mounted is something else
}

/** A node of the plugin's own where this process may make one, so that the host's keeps its owner; or the host's. */
void ShowDevice(const Place& place, const Options& options) {
  struct stat status {};
  const std::string source = kOldRoot + place.source;
  if (stat(source.c_str(), &status) != 0) FailAt(place.source);
  MakeParents(place.path);
  if (options.identity && S_ISCHR(status.st_mode)) {
    if (mknod(place.path.c_str(), S_IFCHR | 0600, status.st_rdev) == 0) {
      if (chown(place.path.c_str(), options.identity->user, options.identity->group) != 0) FailAt(place.path);
      return;
    }
    if (errno != EPERM) FailAt(place.path);
  }
  Bind(place);
}

void ShowScratch(const Place& place) {
  MakeParents(place.path);
  MakeFolder(place.path, 0755);
  const std::string settings = "mode=1777,size=" + place.source;
  if (mount("scratch", place.path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, settings.c_str()) != 0) FailAt(place.path);
}

void ShowOwnProcesses() {
  MakeFolder("/proc", 0555);
  const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("proc", "/proc", "proc", flags, nullptr) == 0) return;
  // A container's own /proc has parts covered, and the kernel does not show them to whom they are covered for.
  if (mount("proc", "/proc", "proc", flags, "subset=pid") != 0) Fail("proc", errno, "/proc");
}

void Show(const Place& place, const Options& options) {
  switch (place.kind) {
    case Place::Kind::kReadOnly:
    case Place::Kind::kWritable:
    case Place::Kind::kProcAll:
      Bind(place);
      return Restrict(place.path, place.kind != Place::Kind::kWritable);
    case Place::Kind::kDevice:
      return ShowDevice(place, options);
    case Place::Kind::kScratch:
      return ShowScratch(place);
    case Place::Kind::kLink:
      MakeParents(place.path);
      if (symlink(place.source.c_str(), place.path.c_str()) != 0 && errno != EEXIST) FailAt(place.path);
      return;
    case Place::Kind::kProcOwn:
      return ShowOwnProcesses();
  }
}

}  // namespace

void ShowPlaces(const Options& options) {
  const mode_t mask = umask(0);
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) FailAt("/");
  if (mount("root", kStage, "tmpfs", MS_NOSUID, "mode=0755,size=1m") != 0) FailAt(kStage);
  const std::string old_root = kStage + kOldRoot;
  MakeFolder(old_root, 0700);
  if (syscall(SYS_pivot_root, kStage, old_root.c_str()) != 0) FailAt("the root");
  if (chdir("/") != 0) FailAt("/");
  for (const Place& place : options.places) Show(place, options);
  MakeParents(options.folder + "/");
  if (umount2(kOldRoot.c_str(), MNT_DETACH) != 0) FailAt(kOldRoot);
  if (rmdir(kOldRoot.c_str()) != 0) FailAt(kOldRoot);
  // Not recursive: what is writable stays so. Devices of the plugin's own are in here, so they stay usable.
  if (mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, nullptr) != 0) FailAt("/");
  umask(mask);
}

}  // namespace sandbox
