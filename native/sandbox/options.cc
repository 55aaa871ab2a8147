#include "options.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "report.h"

namespace sandbox {
namespace {

/** Walks the command line; whatever is wrong with it is a mistake of the host's. */
class Arguments {
 public:
  Arguments(int count, char** arguments) : next_(arguments + 1), end_(arguments + count) {}

  bool IsEmpty() const { return next_ == end_; }
  char** Rest() const { return next_; }

  std::string Text() {
    if (IsEmpty()) Fail("arguments", EINVAL, "the command line ends too early");
    return *next_++;
  }

  template <typename Number>
  Number Integer(int base = 10) {
    return ToInteger<Number>(Text(), base);
  }

  /** Numbers with commas between them; none for "-". */
  template <typename Number>
  std::vector<Number> List() {
    const std::string text = Text();
    std::vector<Number> numbers;
    if (text == "-") return numbers;
    for (size_t start = 0; start <= text.size();) {
      const size_t comma = std::min(text.find(',', start), text.size());
      numbers.push_back(ToInteger<Number>(text.substr(start, comma - start), 10));
      start = comma + 1;
    }
    return numbers;
  }

 private:
  template <typename Number>
  static Number ToInteger(const std::string& text, int base) {
    Number number{};
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number, base);
    if (error != std::errc() || stop != end) Fail("arguments", EINVAL, "\"" + text + "\" is no number");
    return number;
  }

  char** next_;
  char** end_;
};

int ResourceOf(const std::string& name) {
  if (name == "files") return RLIMIT_NOFILE;
  if (name == "processes") return RLIMIT_NPROC;
  if (name == "memory") return RLIMIT_DATA;
  if (name == "core") return RLIMIT_CORE;
  Fail("arguments", EINVAL, "there is no limit \"" + name + "\"");
}

std::optional<Place::Kind> FindPlaceKind(std::string_view option) {
  if (option == "--read-only") return Place::Kind::kReadOnly;
  if (option == "--writable") return Place::Kind::kWritable;
  if (option == "--device") return Place::Kind::kDevice;
  if (option == "--scratch") return Place::Kind::kScratch;
  if (option == "--link") return Place::Kind::kLink;
  return std::nullopt;
}

}  // namespace

Options ParseOptions(int count, char** values) {
  Options options;
  Arguments arguments(count, values);
  while (!arguments.IsEmpty()) {
    const std::string option = arguments.Text();
    if (option == "--") break;
    if (const auto kind = FindPlaceKind(option)) {
      std::string path = arguments.Text();
      options.places.push_back({*kind, std::move(path), arguments.Text()});
    } else if (option == "--report") {
      SetReportDescriptor(arguments.Integer<int>());
    } else if (option == "--parent") {
      options.parent = arguments.Integer<pid_t>();
    } else if (option == "--limit") {
      const int resource = ResourceOf(arguments.Text());
      options.limits.push_back({resource, arguments.Integer<rlim_t>()});
    } else if (option == "--umask") {
      options.file_mask = arguments.Integer<mode_t>(8);
    } else if (option == "--control-group") {
      options.control_groups.push_back(arguments.Text());
    } else if (option == "--nice") {
      options.nice = arguments.Integer<int>();
    } else if (option == "--user-namespace") {
      options.user_namespace = true;
    } else if (option == "--pid-namespace") {
      options.pid_namespace = true;
    } else if (option == "--network-namespace") {
      options.network_namespace = true;
    } else if (option == "--ipc-namespace") {
      options.ipc_namespace = true;
    } else if (option == "--mounts") {
      options.mounts = true;
    } else if (option == "--proc-own") {
      options.places.push_back({Place::Kind::kProcOwn, "/proc", ""});
    } else if (option == "--proc-all") {
      options.places.push_back({Place::Kind::kProcAll, "/proc", "/proc"});
    } else if (option == "--executable") {
      options.executable = arguments.Text();
    } else if (option == "--folder") {
      options.folder = arguments.Text();
    } else if (option == "--identity") {
      const uid_t user = arguments.Integer<uid_t>();
      const gid_t group = arguments.Integer<gid_t>();
      options.identity = Identity{user, group, arguments.List<gid_t>()};
    } else if (option == "--capabilities") {
      options.capabilities = arguments.List<int>();
    } else if (option == "--no-new-privileges") {
      options.no_new_privileges = true;
    } else if (option == "--landlock") {
      options.landlock = true;
    } else if (option == "--system-calls") {
      options.system_calls = true;
    } else if (option == "--unix-sockets-only") {
      options.unix_sockets_only = true;
    } else if (option == "--observe") {
      options.observe = true;
    } else {
      Fail("arguments", EINVAL, "there is no option \"" + option + "\"");
    }
  }
  options.command = arguments.Rest();
  if (*options.command == nullptr) Fail("arguments", EINVAL, "no command is named");
  return options;
}

}  // namespace sandbox
