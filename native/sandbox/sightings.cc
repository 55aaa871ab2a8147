#include "sightings.h"

#include <cerrno>
#include <unistd.h>

namespace sandbox {
namespace {

constexpr size_t kMaxLines = 8192;
constexpr size_t kMaxBytes = 1 << 20;
constexpr size_t kMaxNamesOfFolder = 16;

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

std::string Sightings::Word(const std::string& text) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string word;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte > ' ' && byte < 0x7f && byte != '%') {
      word += letter;
    } else {
      word += '%';
      word += kDigits[byte >> 4];
      word += kDigits[byte & 15];
    }
  }
  return word.empty() ? "%" : word;
}

void Sightings::Path(const std::string& access, const std::string& kind, const std::string& path) {
  const std::string line = "path " + access + " " + kind + " " + Word(path);
  if (is_cut_ || seen_.contains(line)) return;
  const std::string folder = FolderOf(path);
  size_t& names = names_[access + " " + folder];
  if (names == kMaxNamesOfFolder) return Add("many " + access + " " + Word(folder));
  ++names;
  Add(line);
}

void Sightings::Add(const std::string& line) {
  if (is_cut_ || !seen_.insert(line).second) return;
  if (seen_.size() > kMaxLines || bytes_ + line.size() > kMaxBytes) {
    is_cut_ = true;
    seen_.clear();
    names_.clear();
    return Append("cut");
  }
  Append(line);
}

void Sightings::Peak(const char* what, size_t value) {
  size_t& known = peaks_[what];
  if (value <= known) return;
  known = value;
  pending_ += std::string("peak ") + what + " " + std::to_string(value) + "\n";
}

void Sightings::Append(const std::string& line) {
  bytes_ += line.size() + 1;
  pending_ += line;
  pending_ += '\n';
}

void Sightings::Flush() {
  while (!pending_.empty()) {
    const ssize_t written = write(descriptor_, pending_.data(), pending_.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) return;
    if (written < 0) pending_.clear();  // nobody listens any more: the plugin is not to suffer from it
    else pending_.erase(0, static_cast<size_t>(written));
  }
}

}  // namespace sandbox
