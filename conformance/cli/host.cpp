#include <fmt/format.h>
#include <fmt/ranges.h>

#include "conformance/cli/command.hpp"
#include "conformance/cli/verbs.hpp"
#include "conformance/daemons/dropin_host.hpp"
#include "conformance/daemons/store_host.hpp"
#include "sim/toolstack/xl_devices.hpp"

namespace ringside::conformance {
namespace {

constexpr unsigned kMostDomains = sim::Machine::kMaxDomains - 1;

struct HostRequest {
  unsigned domains = 1;
  std::vector<std::string> vifs;  ///< as in xl.cfg, for each guest
  std::vector<std::string> disks;
  std::string xenstored;  ///< a real one's program
  std::vector<std::string> command;
};

/// What --vif and --disk describe.
struct Devices {
  explicit Devices(const HostRequest& request) {
    try {
      for (const std::string& text : request.vifs) {
        vifs.push_back(sim::parse_vif(text, static_cast<unsigned>(vifs.size())));
      }
      for (const std::string& text : request.disks) disks.push_back(sim::parse_disk(text));
    } catch (const std::invalid_argument& e) {
      throw Problem(e.what());
    }
  }
  void attach(sim::Toolstack& toolstack, uint16_t domid) const {
    for (const sim::VifConfig& vif : vifs) toolstack.attach_vif(domid, vif);
    for (const sim::VbdConfig& disk : disks) toolstack.attach_vbd(domid, disk);
  }

  std::vector<sim::VifConfig> vifs;
  std::vector<sim::VbdConfig> disks;
};

std::unique_ptr<DropinHost> start_host(const HostRequest& request) {
  try {
    return std::make_unique<DropinHost>(request.xenstored);
  } catch (const NotInstalled& e) {
    throw Problem(e.what());
  }
}

Outcome run_host(const HostRequest& request) {
  require_chosen_xen();
  const Devices devices(request);
  const std::unique_ptr<DropinHost> beside = start_host(request);
  Host& host = beside->host();
  std::vector<sim::DomainId> guests;
  for (unsigned i = 1; i <= request.domains; ++i) {
    guests.push_back(host.toolstack().create_domain({.name = fmt::format("guest{}", i)}).id());
    devices.attach(host.toolstack(), guests.back());
  }
  const int code = run_command(request.command, beside->settings(), "XENSTORED_");
  for (const sim::DomainId guest : guests) {
    if (host.machine().find(guest) != nullptr) host.toolstack().destroy_domain(guest);
  }
  const auto findings = beside->audit();
  if (!findings.empty()) throw Problem(fmt::format("left behind: {}", fmt::join(findings, "; ")));
  throw ExitCode{code};
}

constexpr const char* kFooter = R"(
Examples:
  ringside host -- xenstore-ls -f                      what a toolstack wrote for one guest
  ringside host --domains 3 -- xenstore-list /local/domain
  ringside host --vif bridge=br0 --disk /dev/vg/guest,raw,xvda -- xenstore-ls
  ringside host -- sh -c 'xenstore-write /a 1; xenstore-read /a'
  ringside host -- /usr/lib/xen-4.17/bin/test-xenstore
  ringside host --xenstored /usr/lib/xen-4.17/bin/xenstored -- xenstore-ls
  ringside host -- bash                                look around; XENSTORED_PATH is set

Xen's programs find the simulated host through libraries that take the place of libxenctrl,
libxenevtchn, libxengnttab and their like (LD_LIBRARY_PATH), and the store through its socket.

Exit code: the command's, or 128 and the number of the signal that ended it.)";

}  // namespace

void add_host(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("host", "Start a simulated host and run a command beside it");
  auto request = std::make_shared<HostRequest>();
  verb->footer(kFooter);
  verb->add_option("--domains", request->domains, "How many guests besides dom0")
      ->check(CLI::Range(0u, kMostDomains))
      ->capture_default_str();
  verb->add_option("--vif", request->vifs, "A network interface of each guest, as in xl.cfg's vif=")
      ->type_name("STRING")
      ->expected(1)
      ->take_all();
  verb->add_option("--disk", request->disks, "A disk of each guest, as in xl.cfg's disk=")
      ->type_name("STRING")
      ->expected(1)
      ->take_all();
  verb->add_option("--xenstored", request->xenstored,
                   "A real store daemon instead of the embedded one")
      ->type_name("PROGRAM");
  verb->add_option("--xen", options().xen, "Release of Xen: 3.4, 4.0 ... (default: the newest)");
  verb->add_option("COMMAND", request->command, "What to run, and its arguments, after --")
      ->required();
  verb->callback([&action, request] { action = [request] { return run_host(*request); }; });
}

}  // namespace ringside::conformance
