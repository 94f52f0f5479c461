#include "conformance/daemons/dropin_host.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <system_error>
#include <thread>

#include "conformance/daemons/store_host.hpp"
#include "sim/dropin/protocol.hpp"
#include "sim/xenstore/remote_store.hpp"

namespace ringside::conformance {

namespace fs = std::filesystem;

std::string dropin_folder() {
  const fs::path beside = fs::read_symlink("/proc/self/exe").parent_path();
  // Tests lie one folder below the program.
  for (const fs::path& folder : {beside / "dropin", beside.parent_path() / "dropin"}) {
    if (fs::exists(folder / "libxenevtchn.so.1")) return folder;
  }
  throw RigError("the drop-in libraries are not in " + (beside / "dropin").string());
}

DropinHost::DropinHost(const std::string& xenstored) {
  HostConfig config;
  config.threaded = true;
  if (!xenstored.empty()) {
    config.store = [&](sim::Machine& machine) { return start_xenstored(xenstored, machine); };
  }
  host_ = std::make_unique<Host>(config);
  if (!xenstored.empty()) return;
  server_ = std::make_unique<sim::dropin::Server>(host_->machine(), folder() + "/dropin");
  service_ = std::make_unique<StoreService>(host_->xenstored().server());
}

std::vector<std::string> DropinHost::settings() const {
  const char* before = std::getenv("LD_LIBRARY_PATH");
  return {fmt::format("LD_LIBRARY_PATH={}{}{}", dropin_folder(), before == nullptr ? "" : ":",
                      before == nullptr ? "" : before),
          fmt::format("{}={}/dropin", sim::dropin::kSocketVariable, folder()),
          "XENSTORED_RUNDIR=" + folder(),
          "XENSTORED_PATH=" + (service_ ? service_->socket() : socket())};
}

std::unique_ptr<ChildProcess> DropinHost::start(const std::string& name,
                                                const std::vector<std::string>& command) {
  return std::make_unique<ChildProcess>(command, settings(),
                                        fmt::format("{}/{}.log", folder(), name));
}

std::unique_ptr<sim::StoreDaemon> DropinHost::start_xenstored(const std::string& program,
                                                              sim::Machine& machine) {
  using namespace std::chrono_literals;
  if (access(program.c_str(), X_OK) != 0) {
    throw NotInstalled(program + " is not there (package xen-utils-4.17)");
  }
  server_ = std::make_unique<sim::dropin::Server>(machine, folder() + "/dropin");
  xenstored_ = start("xenstored", {program, "-N"});
  // The daemon doesn't say when it listens.
  for (int tries = 0; tries < 3000 && xenstored_->running(); ++tries) {
    try {
      return std::make_unique<sim::RemoteStore>(machine, socket());
    } catch (const std::system_error&) {
      std::this_thread::sleep_for(10ms);
    }
  }
  const std::string said = xenstored_->output();
  xenstored_.reset();
  server_.reset();  // before the machine that it serves
  throw RigError(fmt::format("{} did not start: {}", program, said));
}

std::vector<std::string> DropinHost::audit() {
  service_.reset();
  xenstored_.reset();
  server_.reset();
  return host_->audit();
}

}  // namespace ringside::conformance
