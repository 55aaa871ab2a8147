#include "identity.h"

#include <algorithm>
#include <cerrno>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "report.h"

namespace sandbox {
namespace {

bool Contains(const std::vector<int>& kept, int capability) {
  return std::find(kept.begin(), kept.end(), capability) != kept.end();
}

/** The bounding set: what no program that is run later can get back. */
void DropBounding(const std::vector<int>& kept) {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (Contains(kept, capability)) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    // An ordinary user may not, and needs not: there is nothing to keep, and no-new-privileges holds.
    if (errno == EPERM && geteuid() != 0) return;
    Fail("capabilities", errno, "the bounding set");
  }
}

void SetCapabilities(const std::vector<int>& kept) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (const int capability : kept) {
    auto& half = data[capability / 32];
    const uint32_t bit = 1U << (capability % 32);
    half.effective |= bit;
    half.permitted |= bit;
    half.inheritable |= bit;
  }
  if (syscall(SYS_capset, &header, data) != 0) Fail("capabilities", errno, "those to keep");
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) Fail("capabilities", errno, "the ambient set");
  for (const int capability : kept) {
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) {
      Fail("capabilities", errno, "capability " + std::to_string(capability));
    }
  }
}

void ChangeUser(const Identity& identity) {
  if (setgroups(identity.groups.size(), identity.groups.data()) != 0) Fail("user", errno, "its groups");
  if (setresgid(identity.group, identity.group, identity.group) != 0) {
    Fail("user", errno, "group " + std::to_string(identity.group));
  }
  if (setresuid(identity.user, identity.user, identity.user) != 0) {
    Fail("user", errno, "user " + std::to_string(identity.user));
  }
}

}  // namespace

void TakeIdentity(const Options& options) {
  for (const int capability : options.capabilities.value_or(std::vector<int>())) {
    if (capability < 0 || capability > 63) Fail("arguments", EINVAL, "no such capability");
  }
  if (options.capabilities) DropBounding(*options.capabilities);
  if (options.identity) {
    if (options.capabilities && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) Fail("capabilities", errno, "keeping them");
    ChangeUser(*options.identity);
  }
  if (options.capabilities) SetCapabilities(*options.capabilities);
}

void GiveUpCapabilities() { SetCapabilities({}); }

void KeepRightToKill() {
  // What is not permitted to begin with is left out; to have less is never refused.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) Fail("parent-death", errno, "this process's capabilities");
  data[0].permitted &= 1U << CAP_KILL;
  data[0].effective = data[0].permitted;
  data[0].inheritable = 0;
  data[1] = {};
  if (syscall(SYS_capset, &header, data) != 0) Fail("parent-death", errno, "the right to end the plugin");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) Fail("parent-death", errno, "no new privileges");
}

}  // namespace sandbox
