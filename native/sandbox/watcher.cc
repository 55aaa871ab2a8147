#include "watcher.h"

#include <arpa/inet.h>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/audit.h>
#include <netinet/in.h>
#include <optional>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace sandbox {
namespace {

constexpr uint64_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET |
                                    CLONE_NEWUSER | 0x02000000 /* CLONE_NEWCGROUP */;

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = AUDIT_ARCH_RISCV64;
#endif

const char* KindOf(const struct stat& status) {
  if (S_ISDIR(status.st_mode)) return "folder";
  if (S_ISSOCK(status.st_mode)) return "socket";
  if (S_ISFIFO(status.st_mode)) return "pipe";
  return "file";
}

bool IsOwnName(const std::string& path) {
  for (const std::string name : {"/proc/self", "/proc/thread-self", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"}) {
    if (path == name || path.starts_with(name + "/")) return true;
  }
  return false;
}

/** What stands below a descriptor in a path such as `/proc/self/fd/3/exe`: Node has no openat(2). */
std::optional<std::pair<int, std::string>> BelowDescriptor(const std::string& path) {
  for (const std::string folder : {"/proc/self/fd/", "/proc/thread-self/fd/", "/dev/fd/"}) {
    if (!path.starts_with(folder)) continue;
    char* end = nullptr;
    const long descriptor = strtol(path.c_str() + folder.size(), &end, 10);
    if (descriptor < 0 || descriptor > INT_MAX || *end != '/' || end[1] == '\0') return std::nullopt;
    return std::make_pair(static_cast<int>(descriptor), std::string(end + 1));
  }
  return std::nullopt;
}

int FolderOf(const Watched& watched, const seccomp_notif& call) {
  return watched.folder < 0 ? AT_FDCWD : static_cast<int>(call.data.args[watched.folder]);
}

}  // namespace

int Watcher::Look(const seccomp_notif& call) {
  usage_.LookAtMemory(static_cast<pid_t>(call.pid));
  if (call.data.arch != kArchitecture) {
    Call("foreign-architecture");
    return 0;
  }
  bool is_new = false;
  for (const Watched& watched : WatchedCalls()) {
    if (static_cast<int>(watched.number) != call.data.nr) continue;
    LookAt(watched, call);
    is_new = is_new || (watched.look == Look::kClone && call.data.nr != SYS_unshare);
  }
  return is_new && !usage_.HasRoom() ? EAGAIN : 0;
}

void Watcher::LookAt(const Watched& watched, const seccomp_notif& call) {
  const auto& arguments = call.data.args;
  const auto thread = static_cast<pid_t>(call.pid);
  switch (watched.look) {
    case Look::kOpen:
      return Open(watched, call, arguments[watched.path + 1]);
    case Look::kOpenHow: {
      const auto flags = ObservedThread(thread).Bytes(arguments[watched.path + 1], sizeof(uint64_t));
      uint64_t value = 0;
      if (flags) memcpy(&value, flags->data(), sizeof value);
      return flags ? Open(watched, call, value) : Unseen(watched);
    }
    case Look::kPath:
    case Look::kReadLink:
    case Look::kExecute:
      return Path(watched, call, watched.access);
    case Look::kSocket:
      return sightings_.Add("socket " + std::to_string(static_cast<int>(arguments[0])) + " " +
                            std::to_string(arguments[1] & 0xf));
    case Look::kAddress:
      return Address(watched, call, arguments[1], arguments[2]);
    case Look::kSendTo:
      return Address(watched, call, arguments[4], arguments[5]);
    case Look::kOwner: {
      const auto owner = static_cast<uid_t>(arguments[watched.path + 1]);
      if (owner != static_cast<uid_t>(-1) && owner != geteuid()) Call(watched.name);
      return Path(watched, call, watched.access);
    }
    case Look::kDescriptorOwner: {
      const auto owner = static_cast<uid_t>(arguments[1]);
      if (owner != static_cast<uid_t>(-1) && owner != geteuid()) Call(watched.name);
      return;
    }
    case Look::kNode: {
      const auto mode = static_cast<mode_t>(arguments[watched.path + 1]);
      if (S_ISCHR(mode) || S_ISBLK(mode)) Call(watched.name);
      return Path(watched, call, watched.access);
    }
    case Look::kSignal: {
      // 0 and what is below stand for groups, of which the caller's own is the first.
      const auto target = static_cast<pid_t>(arguments[0]);
      if (target == -1 || (target != 0 && !tree_.Contains(std::abs(target)))) Call(watched.name);
      return;
    }
    case Look::kProcess: {
      const auto target = static_cast<pid_t>(arguments[0]);
      if (target != 0 && !tree_.Contains(target)) Call(watched.name);
      return;
    }
    case Look::kIdentity: {
      const auto wanted = static_cast<uid_t>(arguments[0]);
      if (wanted != static_cast<uid_t>(-1) && wanted != geteuid()) Call(watched.name);
      return;
    }
    case Look::kClone: {
      const bool has_flags = call.data.nr == SYS_clone || call.data.nr == SYS_unshare;
      const uint64_t namespaces = has_flags ? arguments[0] & kNewNamespaces : 0;
      if (namespaces != 0) Call(namespaces == CLONE_NEWUSER ? "user-namespace" : "namespaces");
      return;
    }
    case Look::kCall:
      return Call(watched.name);
    case Look::kEnd:
      return usage_.LookAtFiles(thread);
  }
}

void Watcher::Open(const Watched& watched, const seccomp_notif& call, uint64_t flags) {
  const uint64_t mode = flags & O_ACCMODE;
  if (flags & O_PATH) return Path(watched, call, "read");
  if ((flags & O_TMPFILE) == O_TMPFILE) return Path(watched, call, "write");
  if (flags & O_CREAT) return Path(watched, call, mode == O_RDONLY ? "create" : "open-or-create");
  if (mode != O_WRONLY) Path(watched, call, "read");
  if (mode != O_RDONLY || flags & O_TRUNC) Path(watched, call, "write");
}

void Watcher::Path(const Watched& watched, const seccomp_notif& call, const std::string& access) {
  const ObservedThread thread(static_cast<pid_t>(call.pid));
  const auto text = thread.Text(call.data.args[watched.path], PATH_MAX);
  if (!text) return Unseen(watched);
  const auto below = BelowDescriptor(*text);
  if (!below && IsOwnName(*text)) return;
  if (text->empty() && watched.look != Look::kExecute) return;  // what is open already, or nothing at all
  const auto path = below ? thread.Absolute(below->first, below->second) : thread.Absolute(FolderOf(watched, call), *text);
  if (!path) return;  // relative to what has no name, such as a pipe or a folder that is gone
  if (watched.look == Look::kReadLink && !path->starts_with("/proc/")) return;
  Place(access, *path);
}

bool Watcher::IsOfProcesses(const std::string& path, bool* is_own) const {
  constexpr const char* kFolder = "/proc/";
  if (!path.starts_with(kFolder)) return false;
  char* end = nullptr;
  const long pid = strtol(path.c_str() + strlen(kFolder), &end, 10);
  if (pid <= 0 || pid > INT_MAX || (*end != '/' && *end != '\0')) return false;
  *is_own = tree_.Contains(static_cast<pid_t>(pid));
  return true;
}

void Watcher::Place(const std::string& wanted, const std::string& path) {
  if (IsOwnName(path)) return;
  bool is_own = false;
  if (IsOfProcesses(path, &is_own)) {
    if (is_own) return;
    const size_t rest = path.find('/', strlen("/proc/"));
    return sightings_.Add("processes /proc/*" + (rest == std::string::npos ? "" : Sightings::Word(path.substr(rest))));
  }
  struct stat status {};
  const bool follows = wanted != "remove" && wanted != "create";
  const bool is_there = (follows ? stat(path.c_str(), &status) : lstat(path.c_str(), &status)) == 0;
  if (!is_there) {
    const bool is_refused = errno == EACCES;
    if (!is_refused && (wanted == "read" || wanted == "execute")) return;  // it looked for what is not there
    const bool creates = wanted == "open-or-create" || wanted == "create";
    return sightings_.Path(creates ? "create" : wanted, is_refused ? "refused" : "none", path);
  }
  const std::string access = wanted == "open-or-create" ? "write" : wanted;
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
    return sightings_.Add("device " + access + (S_ISCHR(status.st_mode) ? " char " : " block ") +
                          std::to_string(major(status.st_rdev)) + ":" + std::to_string(minor(status.st_rdev)) + " " +
                          Sightings::Word(path));
  }
  const int needed = access == "read" ? R_OK : access == "execute" ? X_OK : F_OK;
  const bool is_refused = needed != F_OK && faccessat(AT_FDCWD, path.c_str(), needed, AT_EACCESS) != 0;
  sightings_.Path(access, is_refused && !S_ISDIR(status.st_mode) ? "refused" : KindOf(status), path);
}

void Watcher::Address(const Watched& watched, const seccomp_notif& call, uint64_t address, uint64_t length) {
  const ObservedThread thread(static_cast<pid_t>(call.pid));
  const size_t size = std::min<size_t>(length, sizeof(sockaddr_storage));
  const auto bytes = size < sizeof(sa_family_t) ? std::nullopt : thread.Bytes(address, size);
  if (!bytes) return Unseen(watched);
  sa_family_t family = AF_UNSPEC;
  memcpy(&family, bytes->data(), sizeof family);
  char text[INET6_ADDRSTRLEN] = "";
  if (family == AF_UNIX) return UnixAddress(thread, watched.access, *bytes);
  uint16_t port = 0;
  if (family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in inet{};
    memcpy(&inet, bytes->data(), sizeof inet);
    inet_ntop(AF_INET, &inet.sin_addr, text, sizeof text);
    port = ntohs(inet.sin_port);
  } else if (family == AF_INET6 && size >= sizeof(sockaddr_in6) - sizeof(uint32_t)) {
    sockaddr_in6 inet{};
    memcpy(&inet, bytes->data(), std::min(size, sizeof inet));
    inet_ntop(AF_INET6, &inet.sin6_addr, text, sizeof text);
    port = ntohs(inet.sin6_port);
  } else {
    return;  // the family is known from the socket
  }
  sightings_.Add(std::string("address ") + watched.access + " " + text + " " + std::to_string(port));
}

void Watcher::UnixAddress(const ObservedThread& thread, const std::string& access, const std::string& bytes) {
  const std::string name = bytes.substr(offsetof(sockaddr_un, sun_path));
  if (name.empty()) return;  // the kernel chooses one
  if (name[0] == '\0') return sightings_.Add("abstract " + access + " " + Sightings::Word(name.substr(1)));
  const auto path = thread.Absolute(AT_FDCWD, name.substr(0, name.find('\0')));
  if (path) Place(access, *path);
}

}  // namespace sandbox
