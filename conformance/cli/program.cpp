#include <fmt/format.h>

#include <cstdio>

#include "conformance/cli/verbs.hpp"

namespace ringside::conformance {
namespace {

constexpr const char* kFooter = R"(
Examples:
  ringside conformance                              every rule, reference back ends
  ringside conformance --filter 'NETIF-TX-*'        the rules of one group
  ringside conformance --filter 'RING_*' --seed 7   tests by name, another world
  ringside conformance --junit out.xml --json out.json
  ringside replay net capture.pcap --digest
  ringside replay blk trace.iolog --image disk.img --size 64M
  ringside record net rings.pcapng                  the same for Wireshark, slot by slot
  ringside net up -- ping -c 5 192.0.2.1            a live network through the rings
  ringside serve nbd -- sh -c 'nbdinfo $NBD_URI'    a live disk through the rings
  ringside worlds --seeds 1..10000                  whole hosts under faults, one a seed
  ringside worlds --seeds 7 --faults backend-crash
  ringside rules list
  ringside rules show RING-008
  ringside host -- xenstore-ls                      any command beside a simulated Xen
  ringside all                                      conformance and all sample traffic

Exit codes (the worst outcome of the run):
  0  SUCCESS  everything that ran held
  3  SKIP     nothing ran but tests that do not apply here
  4  ERROR    bad input, or a fault of the bench itself
  5  FAILURE  a rule was broken, or traffic arrived wrong
  6  CRASH    a test crashed or hung)";

int complain(std::string_view message) {
  fmt::print(stderr, "ringside: ERROR: {}\n", message);
  return exit_code(Outcome::kError);
}

}  // namespace

int run_program(int argc, char** argv) {
  CLI::App app("Xen PV front ends, proved against a simulated Xen", "ringside");
  app.set_version_flag("--version", "ringside " RINGSIDE_VERSION);
  app.footer(kFooter);
  app.require_subcommand(1);
  Action action;
  add_conformance(app, action);
  add_replay(app, action);
  add_record(app, action);
  add_net(app, action);
  add_serve(app, action);
  add_rules(app, action);
  add_bench(app, action);
  add_worlds(app, action);
  add_host(app, action);
  add_all(app, action);
  try {
    app.parse(argc, argv);
    return exit_code(action());
  } catch (const ExitCode& ended) {
    return ended.code;
  } catch (const CLI::Success& wanted) {  // --help, --version
    return app.exit(wanted);
  } catch (const CLI::ParseError& e) {
    return complain(fmt::format("{}; see ringside --help", e.what()));
  } catch (const Problem& e) {
    return complain(e.what());
  } catch (const std::exception& e) {
    return complain(fmt::format("the bench itself failed: {}", e.what()));
  }
}

}  // namespace ringside::conformance
