#include "conformance/cli/command.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

std::atomic<pid_t> child = 0;

void pass_on(int signal) {
  if (const pid_t pid = child.load(); pid > 0) kill(pid, signal);
}

/// Signals that end this program: the command decides. The terminal sends it some of them itself.
class SignalsToChild {
 public:
  SignalsToChild() {
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      struct sigaction action {};
      action.sa_handler = kSignals[i] == SIGTERM || kSignals[i] == SIGHUP ? pass_on : SIG_IGN;
      sigaction(kSignals[i], &action, &before_[i]);
    }
  }
  ~SignalsToChild() {
    for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &before_[i], nullptr);
  }
  SignalsToChild(const SignalsToChild&) = delete;
  SignalsToChild& operator=(const SignalsToChild&) = delete;

 private:
  static constexpr int kSignals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
  struct sigaction before_[std::size(kSignals)]{};
};

std::atomic<bool> ended = false;

void note_end(int) { ended = true; }

constexpr int kEndings[] = {SIGINT, SIGTERM, SIGHUP};

}  // namespace

int run_command(const std::vector<std::string>& command, const std::vector<std::string>& settings,
                std::string_view prefix) {
  std::vector<char*> environment;
  const auto replaced = [&](std::string_view entry) {
    const std::string_view name = entry.substr(0, entry.find('=') + 1);
    return entry.starts_with(prefix) ||
           std::any_of(settings.begin(), settings.end(),
                       [&](const std::string& setting) { return setting.starts_with(name); });
  };
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!replaced(*entry)) environment.push_back(*entry);
  }
  for (const std::string& setting : settings) {
    environment.push_back(const_cast<char*>(setting.c_str()));
  }
  environment.push_back(nullptr);
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);

  const SignalsToChild signals;
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigfillset(&defaults);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error =
      posix_spawnp(&pid, argv[0], nullptr, &attributes, argv.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  if (error != 0) throw Problem(fmt::format("can't run {}: {}", argv[0], std::strerror(error)));
  child = pid;
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  child = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

EndSignal::EndSignal() {
  ended = false;
  for (const int number : kEndings) signal(number, note_end);
}

EndSignal::~EndSignal() {
  for (const int number : kEndings) signal(number, SIG_DFL);
}

bool EndSignal::came() const { return ended; }

}  // namespace ringside::conformance
