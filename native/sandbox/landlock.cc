#include "landlock.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "report.h"

namespace sandbox {
namespace {

// Numbers and structures of the kernel's interface, by the version that brought them: headers know the first ones only.
constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;
constexpr uint32_t kCreateRulesetVersion = 1;
constexpr int kRulePathBeneath = 1;

constexpr uint64_t kExecute = 1 << 0, kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadFolder = 1 << 3;
constexpr uint64_t kVersion1 = (1 << 13) - 1;   // up to MAKE_SYM
constexpr uint64_t kRefer = 1 << 13;            // 2
constexpr uint64_t kTruncate = 1 << 14;         // 3
constexpr uint64_t kDeviceControl = 1 << 15;    // 5
constexpr uint64_t kScopeAbstractSocket = 1 << 0, kScopeSignal = 1 << 1;  // 6

struct RulesetAttributes {
  uint64_t handled_files;
  uint64_t handled_network;
  uint64_t scoped;
};

struct __attribute__((packed)) PathBeneath {
  uint64_t allowed;
  int32_t parent;
};

constexpr uint64_t kOnFiles = kExecute | kWriteFile | kReadFile | kTruncate | kDeviceControl;
constexpr uint64_t kReading = kExecute | kReadFile | kReadFolder;

uint64_t HandledBy(long version) {
  uint64_t handled = kVersion1;
  if (version >= 2) handled |= kRefer;
  if (version >= 3) handled |= kTruncate;
  if (version >= 5) handled |= kDeviceControl;
  return handled;
}

/** Where no places are mounted, those that this would have made are others'. */
uint64_t AllowedAt(const Place& place, bool mounts) {
  if (place.kind == Place::Kind::kScratch && !mounts) return 0;
  switch (place.kind) {
    case Place::Kind::kReadOnly:
      return kReading;
    case Place::Kind::kWritable:
    case Place::Kind::kScratch:
      return ~(kExecute | kDeviceControl);
    case Place::Kind::kDevice:
      return kReadFile | kWriteFile | kTruncate | kDeviceControl;
    case Place::Kind::kProcOwn:
    case Place::Kind::kProcAll:
      return kReadFile | kReadFolder | kWriteFile;
    case Place::Kind::kLink:
      return 0;
  }
  return 0;
}

void Allow(int ruleset, const std::string& path, uint64_t allowed) {
  const int place = open(path.c_str(), O_PATH | O_CLOEXEC);
  if (place < 0) Fail("landlock", errno, path);
  struct stat status {};
  if (fstat(place, &status) != 0) Fail("landlock", errno, path);
  const PathBeneath rule{S_ISDIR(status.st_mode) ? allowed : allowed & kOnFiles, place};
  if (syscall(kAddRule, ruleset, kRulePathBeneath, &rule, 0) != 0) Fail("landlock", errno, path);
  close(place);
}

}  // namespace

void RestrictToPlaces(const Options& options) {
  const long version = syscall(kCreateRuleset, nullptr, 0, kCreateRulesetVersion);
  if (version < 1) Fail("landlock", errno, "the kernel has it not, or it is not switched on");
  const uint64_t handled = HandledBy(version);
  RulesetAttributes attributes{handled, 0, version >= 6 ? kScopeAbstractSocket | kScopeSignal : 0};
  const size_t size = version >= 6 ? sizeof attributes : sizeof attributes.handled_files;
  const int ruleset = static_cast<int>(syscall(kCreateRuleset, &attributes, size, 0));
  if (ruleset < 0) Fail("landlock", errno, "the rules");
  for (const Place& place : options.places) {
    const uint64_t allowed = AllowedAt(place, options.mounts) & handled;
    if (allowed != 0) Allow(ruleset, place.path, allowed);
  }
  if (syscall(kRestrictSelf, ruleset, 0) != 0) Fail("landlock", errno, "this process");
  close(ruleset);
}

}  // namespace sandbox
