#include "usage.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace sandbox {
namespace {

/** As the sandbox limits a plugin of which nothing is known. */
constexpr size_t kMaxTasks = 4096;
/** Beyond so many processes each one's files and memory are not worth the time. */
constexpr size_t kMaxLookedAt = 256;
constexpr int64_t kPauseNanoseconds = 20'000'000;
/** The share of the time that looking may take. */
constexpr int64_t kCostFactor = 20;

int64_t Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

std::string StatusOf(pid_t process) {
  const int file = open(("/proc/" + std::to_string(process) + "/status").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return "";
  char text[4096];
  const ssize_t length = read(file, text, sizeof text);
  close(file);
  return length <= 0 ? "" : std::string(text, static_cast<size_t>(length));
}

size_t Field(const std::string& status, const char* name) {
  const size_t found = status.find(std::string("\n") + name + ":");
  return found == std::string::npos ? 0 : strtoul(status.c_str() + found + strlen(name) + 2, nullptr, 10);
}

/** What RLIMIT_DATA counts. Source: getrlimit(2). */
size_t MemoryBytes(const std::string& status) {
  return Field(status, "VmData") * 1024;
}

size_t OpenFiles(pid_t process) {
  DIR* folder = opendir(("/proc/" + std::to_string(process) + "/fd").c_str());
  if (folder == nullptr) return 0;
  size_t count = 0;
  while (const dirent* entry = readdir(folder)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(folder);
  return count;
}

}  // namespace

void Usage::LookAtFiles(pid_t process) {
  sightings_.Peak("files", OpenFiles(process));
}

void Usage::LookAtMemory(pid_t thread) {
  sightings_.Peak("memory", MemoryBytes(StatusOf(thread)));
}

void Usage::LookAtAll() {
  const std::vector<pid_t> processes = tree_.Descendants();
  size_t tasks = 0;
  for (size_t index = 0; index < processes.size(); ++index) {
    if (index >= kMaxLookedAt) {
      ++tasks;
      continue;
    }
    const std::string status = StatusOf(processes[index]);
    tasks += std::max<size_t>(1, Field(status, "Threads"));
    sightings_.Peak("memory", MemoryBytes(status));
    LookAtFiles(processes[index]);
  }
  tasks_ = tasks;
  sightings_.Peak("processes", tasks);
}

void Usage::Look() {
  const int64_t start = Now();
  if (start < next_look_) return;
  LookAtAll();
  const int64_t end = Now();
  next_look_ = end + std::max(kPauseNanoseconds, (end - start) * kCostFactor);
}

bool Usage::HasRoom() {
  if (tasks_ + 1 >= kMaxTasks) Look();
  if (tasks_ + 1 >= kMaxTasks) return false;
  ++tasks_;
  return true;
}

}  // namespace sandbox
