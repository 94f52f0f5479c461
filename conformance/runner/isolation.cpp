#include "conformance/runner/isolation.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "conformance/runner/child.hpp"

namespace ringside::conformance {
namespace {

using Clock = std::chrono::steady_clock;

struct Entry {
  TestRecord* record = nullptr;
  bool finished = false;
};
using Entries = std::map<std::string, Entry>;

/// One child process and what it has reported so far.
class Child {
 public:
  Child(std::span<const TestCase> tests, Entries& entries, const IsolationOptions& options)
      : entries_(entries), options_(options) {
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
      run_as_child(tests, pipe_ends[1], output_);
    }
    close(pipe_ends[1]);
    report_ = pipe_ends[0];
  }
  ~Child() {
    close(report_);
    close(output_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Follows the child to its end; returns how many of its tests have a result now.
  size_t follow(size_t done_before) {
    done_ = done_before;
    bool hung = false;
    while (!hung && read_more(hung)) {
    }
    if (hung) kill(-pid_, SIGKILL);
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    kill(-pid_, SIGKILL);  // whatever a test left running
    settle(hung, status);
    return done_ - done_before;
  }

 private:
  /// False at the end of the child's report.
  bool read_more(bool& hung) {
    const auto deadline = since_ + std::chrono::seconds(options_.timeout_seconds);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd ready{report_, POLLIN, 0};
    const int events = poll(&ready, 1, left < 0 ? 0 : static_cast<int>(left) + 1);
    if (events < 0) return errno == EINTR;
    if (events == 0) {
      hung = true;
      return false;
    }
    char buffer[4096];
    const ssize_t count = read(report_, buffer, sizeof buffer);
    if (count <= 0) return count < 0 && errno == EINTR;
    pending_.append(buffer, static_cast<size_t>(count));
    for (size_t end; (end = pending_.find('\n')) != std::string::npos;) {
      take_line(pending_.substr(0, end));
      pending_.erase(0, end + 1);
    }
    return true;
  }

  void take_line(const std::string& text) {
    const auto line = nlohmann::json::parse(text);
    Entry& entry = entries_.at(line.at("test").get<std::string>());
    TestRecord& record = *entry.record;
    since_ = Clock::now();
    if (line.at("event") == "start") {
      current_ = &entry;
      started_at_ = line.at("offset").get<off_t>();
      if (options_.progress) options_.progress(done_, record.test);
      return;
    }
    entry.finished = true;
    record.outcome = static_cast<Outcome>(line.at("outcome").get<int>());
    record.message = line.at("message").get<std::string>();
    record.seconds = line.at("seconds").get<double>();
    if (record.outcome != Outcome::kSuccess) record.output = output_since(started_at_);
    last_ = &entry;
    current_ = nullptr;
    ++done_;
  }

  /// Blames the test that was running for the way the child ended; an exit code that comes
  /// after the last test (a leak report) is laid at the last one's door.
  void settle(bool hung, int status) {
    const bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (current_ != nullptr) {
      current_->finished = true;
      ++done_;
    }
    Entry* entry = current_ != nullptr ? current_ : clean ? nullptr : last_;
    if (entry == nullptr) return;
    if (current_ == nullptr) started_at_ = 0;
    TestRecord* blamed = entry->record;
    blamed->outcome = Outcome::kCrash;
    blamed->output = output_since(started_at_);
    blamed->seconds = std::chrono::duration<double>(Clock::now() - since_).count();
    if (hung) {
      blamed->message = fmt::format("hung: no end after {} s", options_.timeout_seconds);
    } else if (WIFSIGNALED(status)) {
      blamed->message =
          fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
      blamed->message =
          fmt::format("the test process ended with exit code {}{}", WEXITSTATUS(status),
                      current_ == nullptr ? " after its last test" : "");
    }
  }

  std::string output_since(off_t start) const {
    constexpr off_t kMost = 64 * 1024;
    const off_t end = lseek(output_, 0, SEEK_END);
    const off_t from = std::max(start, end - kMost);
    std::string text(end > from ? static_cast<size_t>(end - from) : 0, '\0');
    const ssize_t count = pread(output_, text.data(), text.size(), from);
    text.resize(count > 0 ? static_cast<size_t>(count) : 0);
    return text;
  }

  Entries& entries_;
  const IsolationOptions& options_;
  int output_ = -1;
  int report_ = -1;
  pid_t pid_ = -1;
  size_t done_ = 0;
  std::string pending_;
  Entry* current_ = nullptr;
  Entry* last_ = nullptr;
  off_t started_at_ = 0;
  Clock::time_point since_ = Clock::now();
};

}  // namespace

std::vector<TestRecord> run_isolated(std::span<const TestCase> tests,
                                     const IsolationOptions& options) {
  std::vector<TestRecord> records;
  records.reserve(tests.size());
  Entries entries;
  for (const TestCase& test : tests) {
    TestRecord unheard{test, Outcome::kError, "the test did not run", "", 0};
    entries[test.full_name()].record = &records.emplace_back(std::move(unheard));
  }
  std::vector<TestCase> rest(tests.begin(), tests.end());
  for (size_t done = 0; !rest.empty();) {
    Child child(rest, entries, options);
    const size_t progress = child.follow(done);
    if (progress == 0) break;
    done += progress;
    std::erase_if(rest,
                  [&](const TestCase& test) { return entries.at(test.full_name()).finished; });
  }
  return records;
}

}  // namespace ringside::conformance
