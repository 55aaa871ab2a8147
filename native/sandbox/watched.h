#pragma once

#include <cstdint>
#include <vector>

namespace sandbox {

/** What the arguments of a watched system call say. */
enum class Look {
  kOpen,        // path, and the flags behind it
  kOpenHow,     // path, and struct open_how behind it
  kPath,        // path
  kReadLink,    // path; of interest below /proc
  kExecute,     // path; flags with AT_EMPTY_PATH as the fifth argument, where there is a folder
  kSocket,      // family, type
  kAddress,     // descriptor, address, its length
  kSendTo,      // the same as the fifth and sixth argument
  kOwner,       // path; owner and group behind it
  kDescriptorOwner,  // descriptor, owner, group
  kNode,        // path; mode behind it
  kSignal,      // the process that it is about
  kProcess,     // the same, or one's own by 0
  kIdentity,    // IDs
  kClone,       // flags
  kCall,        // nothing but that it was called
  kEnd,         // the process ends
};

/** One system call; one that names two paths has two rows. */
struct Watched {
  uint32_t number;
  /** As the lines name it, for those that are reported by name. */
  const char* name;
  Look look;
  /** What is done at the path. */
  const char* access = "";
  /** Which argument is the path. */
  int path = 0;
  /** Which argument is the descriptor of the folder that it begins at; -1 for the current one. */
  int folder = -1;
};

/** Every row, on this architecture. */
const std::vector<Watched>& WatchedCalls();

}  // namespace sandbox
