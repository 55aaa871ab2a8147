#include "observed-process.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sandbox {
namespace {

constexpr uint64_t kPage = 4096;
/** How long a tree that is being ended may go on. */
constexpr int kEndRounds = 500;
constexpr long kRoundNanoseconds = 10'000'000;

std::optional<std::string> LinkText(const std::string& path) {
  char text[PATH_MAX];
  const ssize_t length = readlink(path.c_str(), text, sizeof text);
  if (length <= 0 || length == static_cast<ssize_t>(sizeof text)) return std::nullopt;
  return std::string(text, static_cast<size_t>(length));
}

/** Field 4 of proc_pid_stat(5); the name in field 2 may hold anything. Works for threads as well. */
pid_t ParentOf(pid_t pid) {
  const int file = open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[512];
  const ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return 0;
  text[length] = '\0';
  const char* end = strrchr(text, ')');
  return end == nullptr || strlen(end) < 5 ? 0 : static_cast<pid_t>(strtol(end + 4, nullptr, 10));
}

/** Without empty parts and those that say "here"; where a part says "above", as the kernel would go. */
std::string Normal(const std::string& path) {
  std::string normal;
  bool goes_up = false;
  for (size_t start = 0; start < path.size();) {
    const size_t slash = std::min(path.find('/', start), path.size());
    const std::string part = path.substr(start, slash - start);
    if (part == "..") goes_up = true;
    if (!part.empty() && part != ".") normal += "/" + part;
    start = slash + 1;
  }
  if (normal.empty()) return "/";
  if (!goes_up) return normal;
  const size_t last = normal.rfind('/');
  const std::string name = normal.substr(last + 1);
  char real[PATH_MAX];
  const std::string folder = name == ".." ? normal : normal.substr(0, last) + "/";
  if (realpath(folder.c_str(), real) == nullptr) return normal;
  const std::string above = real;
  return name == ".." ? above : (above == "/" ? "" : above) + "/" + name;
}

}  // namespace

std::optional<std::string> ObservedThread::Bytes(uint64_t address, size_t size) const {
  std::string bytes(size, '\0');
  const iovec here{bytes.data(), size};
  const iovec there{reinterpret_cast<void*>(address), size};
  if (process_vm_readv(thread_, &here, 1, &there, 1, 0) != static_cast<ssize_t>(size)) return std::nullopt;
  return bytes;
}

std::optional<std::string> ObservedThread::Text(uint64_t address, size_t most) const {
  std::string text;
  while (text.size() < most) {
    // What lies on the next page may not be there.
    const uint64_t start = address + text.size();
    const size_t size = std::min<size_t>({most - text.size(), kPage - start % kPage, 256});
    const auto bytes = Bytes(start, size);
    if (!bytes) return std::nullopt;
    const size_t end = bytes->find('\0');
    text += bytes->substr(0, end);
    if (end != std::string::npos) return text;
  }
  return std::nullopt;
}

std::optional<std::string> ObservedThread::FolderPath(int folder) const {
  const std::string own = "/proc/" + std::to_string(thread_);
  const auto path = LinkText(folder == AT_FDCWD ? own + "/cwd" : own + "/fd/" + std::to_string(folder));
  return path && path->starts_with('/') ? path : std::nullopt;
}

std::optional<std::string> ObservedThread::Absolute(int folder, const std::string& path) const {
  if (path.starts_with('/')) return Normal(path);
  const auto base = FolderPath(folder);
  if (!base) return std::nullopt;
  return Normal(path.empty() ? *base : *base + "/" + path);
}

std::vector<pid_t> ProcessTree::Descendants() const {
  std::multimap<pid_t, pid_t> children;
  DIR* folder = opendir("/proc");
  if (folder == nullptr) return {};
  while (const dirent* entry = readdir(folder)) {
    const auto pid = static_cast<pid_t>(strtol(entry->d_name, nullptr, 10));
    if (pid > 0) children.emplace(ParentOf(pid), pid);
  }
  closedir(folder);
  std::vector<pid_t> found = {root_};
  for (size_t index = 0; index < found.size(); ++index) {
    const auto [first, last] = children.equal_range(found[index]);
    for (auto child = first; child != last; ++child) found.push_back(child->second);
  }
  found.erase(found.begin());
  return found;
}

bool ProcessTree::Contains(pid_t pid) const {
  for (int steps = 0; pid > 1 && steps < 4096; ++steps) {
    if (pid == root_) return steps > 0;
    pid = ParentOf(pid);
  }
  return false;
}

void ProcessTree::End() const {
  for (int round = 0; round < kEndRounds; ++round) {
    for (const pid_t pid : Descendants()) kill(pid, SIGKILL);
    pid_t ended = 0;
    do {
      ended = waitpid(-1, nullptr, WNOHANG);
    } while (ended > 0);
    if (ended < 0 && errno == ECHILD) return;
    const timespec pause{0, kRoundNanoseconds};
    nanosleep(&pause, nullptr);
  }
}

}  // namespace sandbox
