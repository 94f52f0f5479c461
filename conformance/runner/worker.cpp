#include "conformance/runner/worker.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {

Worker::Worker(const Body& body) {
  int pipe_ends[2];
  output_ = memfd_create("ringside-output", MFD_CLOEXEC);
  if (output_ < 0 || pipe2(pipe_ends, O_CLOEXEC) != 0) {
    throw Problem(fmt::format("can't start a test process: {}", std::strerror(errno)));
  }
  std::fflush(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw Problem(fmt::format("can't fork: {}", std::strerror(errno)));
  if (pid_ == 0) {
    close(pipe_ends[0]);
    setpgid(0, 0);
    dup2(output_, STDOUT_FILENO);
    dup2(output_, STDERR_FILENO);
    body(pipe_ends[1], output_);
    std::exit(0);
  }
  close(pipe_ends[1]);
  report_ = pipe_ends[0];
}

Worker::~Worker() {
  close(report_);
  close(output_);
}

bool Worker::read(const std::function<void(const std::string&)>& take_line) {
  char buffer[4096];
  const ssize_t count = ::read(report_, buffer, sizeof buffer);
  if (count <= 0) return count < 0 && errno == EINTR;
  pending_.append(buffer, static_cast<size_t>(count));
  for (size_t end; (end = pending_.find('\n')) != std::string::npos;) {
    const std::string line = pending_.substr(0, end);
    pending_.erase(0, end + 1);
    take_line(line);
  }
  return true;
}

int Worker::wait(bool kill_it) {
  if (kill_it) kill(-pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  kill(-pid_, SIGKILL);  // whatever a test left running
  return status;
}

std::string Worker::output_since(off_t start) const {
  constexpr off_t kMost = 64 * 1024;
  const off_t end = lseek(output_, 0, SEEK_END);
  const off_t from = std::max(start, end - kMost);
  std::string text(end > from ? static_cast<size_t>(end - from) : 0, '\0');
  const ssize_t count = pread(output_, text.data(), text.size(), from);
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return text;
}

void report_line(int report, const nlohmann::json& line) {
  const std::string text =
      line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  for (size_t at = 0; at < text.size();) {
    const ssize_t written = write(report, text.data() + at, text.size() - at);
    if (written <= 0) _exit(1);
    at += static_cast<size_t>(written);
  }
}

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) {
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  }
  if (WEXITSTATUS(status) == 0) return {};
  return fmt::format("the test process ended with exit code {}", WEXITSTATUS(status));
}

}  // namespace ringside::conformance
