#pragma once

#include <string>

namespace sandbox {

/** Where the host listens for what became of the measures; set once, from the command line. */
void SetReportDescriptor(int descriptor);
int ReportDescriptor();

/** One line to the host. */
void Report(const std::string& line);

/**
 * Ends the launcher: a measure that was asked for is in force, or the plugin does not run. What to do without it is the
 * host's to decide.
 */
[[noreturn]] void Fail(const char* measure, int error, const std::string& detail);

}  // namespace sandbox
