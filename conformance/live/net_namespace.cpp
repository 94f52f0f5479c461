#include "conformance/live/net_namespace.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

/// A thread of its own, as it can't leave its namespace by merely ending a scope.
void on_a_thread(const std::function<void()>& body) { std::async(std::launch::async, body).get(); }

int new_namespace() {
  if (unshare(CLONE_NEWNET) != 0) return -1;
  return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/// An error in between: the maps are written once, by whoever just made the namespace.
bool write_map(const char* path, const std::string& text) {
  std::ofstream file(path);
  return static_cast<bool>(file << text << std::flush);
}

void become_root_of_user_namespace() {
  const uid_t user = geteuid();
  const gid_t group = getegid();
  if (unshare(CLONE_NEWUSER) != 0) {
    throw Problem(
        fmt::format("a live network needs root or user namespaces: unshare: {}; run it as root",
                    std::strerror(errno)));
  }
  if (!write_map("/proc/self/uid_map", fmt::format("0 {} 1\n", user)) ||
      !write_map("/proc/self/setgroups", "deny\n") ||
      !write_map("/proc/self/gid_map", fmt::format("0 {} 1\n", group))) {
    throw Problem("a live network needs root: the maps of a user namespace can't be written");
  }
}

}  // namespace

std::string prepare_for_namespaces() {
  bool possible = false;
  on_a_thread([&] { possible = unshare(CLONE_NEWNET) == 0; });
  if (possible) return {};
  become_root_of_user_namespace();
  return fmt::format("--preserve-credentials --user=/proc/{}/ns/user ", getpid());
}

NetNamespace::NetNamespace() {
  int error = 0;
  on_a_thread([&] {
    file_ = new_namespace();
    error = errno;
  });
  if (file_ < 0) throw Problem(fmt::format("no network namespace: {}", std::strerror(error)));
}

NetNamespace::~NetNamespace() { close(file_); }

void NetNamespace::run(const std::function<void()>& body) const {
  on_a_thread([&] {
    enter();
    body();
  });
}

void NetNamespace::enter() const {
  if (setns(file_, CLONE_NEWNET) != 0) {
    throw Problem(fmt::format("a network namespace can't be entered: {}", std::strerror(errno)));
  }
}

void NetNamespace::end_processes() const {
  namespace fs = std::filesystem;
  const fs::path own = path();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc{} || end != name.data() + name.size() || pid == getpid()) continue;
    if (fs::equivalent(entry.path() / "ns/net", own, error)) kill(pid, SIGKILL);
  }
}

std::string NetNamespace::path() const { return fmt::format("/proc/{}/fd/{}", getpid(), file_); }

}  // namespace ringside::conformance
