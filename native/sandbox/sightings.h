#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <unordered_set>

namespace sandbox {

/**
 * What was seen, as lines: words with one space between them. In a word every byte but the printable ones of ASCII, the
 * space and the per cent sign too, is written as a per cent sign and two hexadecimal digits. No line comes twice.
 *
 *   path ACCESS KIND PATH         ACCESS: read, write, create, remove, change, execute, connect, bind
 *                                 KIND, when it was asked for: file, folder, socket, pipe, none, refused
 *   device ACCESS char|block MAJOR:MINOR PATH
 *   many ACCESS FOLDER            more names in there than are worth telling apart
 *   abstract ACCESS NAME          an abstract Unix socket
 *   address ACCESS IP PORT
 *   socket FAMILY TYPE            numbers, as socket(2) takes them
 *   call NAME
 *   processes PATH                /proc of others, with * for the process
 *   peak processes|files|memory NUMBER    the last one counts; memory in bytes
 *   unseen NAME                   a call whose arguments could not be read
 *   cut                           no more lines of any kind but peaks
 */
class Sightings {
 public:
  explicit Sightings(int descriptor) : descriptor_(descriptor) {}

  void Path(const std::string& access, const std::string& kind, const std::string& path);
  void Add(const std::string& line);
  void Peak(const char* what, size_t value);

  bool IsPending() const { return !pending_.empty(); }
  /** Writes what the reader takes at once. */
  void Flush();

  static std::string Word(const std::string& text);

 private:
  void Append(const std::string& line);

  int descriptor_;
  std::string pending_;
  size_t bytes_ = 0;
  bool is_cut_ = false;
  std::unordered_set<std::string> seen_;
  /** By access and folder. */
  std::map<std::string, size_t> names_;
  std::map<std::string, size_t> peaks_;
};

}  // namespace sandbox
