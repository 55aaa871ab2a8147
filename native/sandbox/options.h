#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <sys/types.h>
#include <vector>

namespace sandbox {

struct Limit {
  int resource;
  rlim_t value;
};

/** A place of the plugin's file system: `path` as the plugin names it, `source` without symbolic links. */
struct Place {
  enum class Kind { kReadOnly, kWritable, kDevice, kScratch, kLink, kProcOwn, kProcAll };
  Kind kind;
  std::string path;
  /** kLink: what the link says; kScratch: its size in bytes; kProc…: empty. */
  std::string source;
};

struct Identity {
  uid_t user;
  gid_t group;
  std::vector<gid_t> groups;
};

/** What the command line asks for. The launcher adds nothing to it. */
struct Options {
  pid_t parent = 0;
  std::vector<Limit> limits;
  std::optional<mode_t> file_mask;
  /** Files `cgroup.procs` of the groups to join. */
  std::vector<std::string> control_groups;
  /** How much further down its priority goes, nice(2). */
  int nice = 0;
  bool user_namespace = false;
  bool pid_namespace = false;
  bool network_namespace = false;
  bool ipc_namespace = false;
  /** Shows `places` and nothing else. */
  bool mounts = false;
  std::vector<Place> places;
  std::string folder;
  std::optional<Identity> identity;
  /** Numbers of the capabilities to keep; all of them where absent. */
  std::optional<std::vector<int>> capabilities;
  bool no_new_privileges = false;
  bool landlock = false;
  bool system_calls = false;
  bool unix_sockets_only = false;
  /** Where what the plugin does is written; it is not confined then. */
  bool observe = false;
  /** What is executed; absent, the command's first word. */
  std::string executable;
  /** The name that the executable is called by and its arguments, as execve(2) takes them. */
  char** command = nullptr;
};

/** Ends the launcher where it does not understand. */
Options ParseOptions(int count, char** arguments);

}  // namespace sandbox
