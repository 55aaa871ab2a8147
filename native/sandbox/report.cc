#include "report.h"

#include <unistd.h>

namespace sandbox {
namespace {

constexpr int kFailed = 125;
int report_descriptor = -1;

}  // namespace

void SetReportDescriptor(int descriptor) { report_descriptor = descriptor; }
int ReportDescriptor() { return report_descriptor; }

void Report(const std::string& line) {
  const std::string text = line + "\n";
  const int descriptor = report_descriptor >= 0 ? report_descriptor : STDERR_FILENO;
  // A host that does not listen any more has ended, and this process with it.
  if (write(descriptor, text.data(), text.size()) < 0) _exit(kFailed);
}

void Fail(const char* measure, int error, const std::string& detail) {
  Report(std::string("failed ") + measure + " " + std::to_string(error) + " " + detail);
  _exit(kFailed);
}

}  // namespace sandbox
