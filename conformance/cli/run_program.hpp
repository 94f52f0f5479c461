#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

namespace ringside::conformance {

/// How a run of the program ended.
struct Ended {
  int code = -1;     ///< exit code, or the negative number of the signal that killed it
  std::string text;  ///< standard output and error

  bool says(std::string_view words) const { return text.find(words) != std::string::npos; }
};

/// Runs `ringside ARGUMENTS` in `folder`, through a shell, as a user does. For tests.
inline Ended run_program(const std::string& arguments, const std::string& folder = ".") {
  const std::string command =
      "cd '" + folder + "' && '" RINGSIDE_PROGRAM "' " + arguments + " 2>&1 </dev/null";
  Ended ended;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return ended;
  std::array<char, 4096> buffer;
  for (size_t count; (count = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    ended.text.append(buffer.data(), count);
  }
  const int status = pclose(pipe);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return ended;
}

}  // namespace ringside::conformance
