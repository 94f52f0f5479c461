#include "conformance/runner/isolation.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "conformance/runner/child.hpp"
#include "conformance/runner/worker.hpp"

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
      : entries_(entries),
        options_(options),
        worker_([&](int report, int output) { run_as_child(tests, report, output); }) {}

  /// Follows the child to its end; returns how many of its tests have a result now.
  size_t follow(size_t done_before) {
    done_ = done_before;
    bool hung = false;
    while (!hung && read_more(hung)) {
    }
    settle(hung, worker_.wait(hung));
    return done_ - done_before;
  }

 private:
  /// False at the end of the child's report.
  bool read_more(bool& hung) {
    const auto deadline = since_ + std::chrono::seconds(options_.timeout_seconds);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd ready{worker_.report(), POLLIN, 0};
    const int events = poll(&ready, 1, left < 0 ? 0 : static_cast<int>(left) + 1);
    if (events < 0) return errno == EINTR;
    if (events == 0) {
      hung = true;
      return false;
    }
    return worker_.read([this](const std::string& line) { take_line(line); });
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
    if (record.outcome != Outcome::kSuccess) record.output = worker_.output_since(started_at_);
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
    blamed->output = worker_.output_since(started_at_);
    blamed->seconds = std::chrono::duration<double>(Clock::now() - since_).count();
    if (hung) {
      blamed->message = fmt::format("hung: no end after {} s", options_.timeout_seconds);
    } else {
      blamed->message = describe_end(status) + (current_ == nullptr ? " after its last test" : "");
    }
  }

  Entries& entries_;
  const IsolationOptions& options_;
  Worker worker_;
  size_t done_ = 0;
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
    TestRecord unheard{test, Outcome::kError, "the test did not run", "", 0, ""};
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
