#!/bin/sh
# Linked statically the launcher starts in a third of the time; not every system has the libraries for it.
program=$(mktemp)
if echo '#include <string>
int main(int count, char**) { return static_cast<int>(std::string(count, 0).size()); }' |
  ${CXX:-c++} -x c++ -fPIE -static-pie -o "$program" - 2>/dev/null && "$program"; [ $? -eq 1 ]; then
  echo -static-pie
fi
rm -f "$program"
