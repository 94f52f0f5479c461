#include "sim/toolstack/console_end.hpp"

#include <atomic>
#include <stdexcept>

#include "protocols/platform/xen.hpp"
#include "sim/machine/machine.hpp"

namespace ringside::sim {
namespace {

uint32_t load(uint32_t& index) {
  return std::atomic_ref<uint32_t>(index).load(std::memory_order_acquire);
}
void store(uint32_t& index, uint32_t value) {
  std::atomic_ref<uint32_t>(index).store(value, std::memory_order_release);
}

}  // namespace

ConsoleEnd::ConsoleEnd(Domain& domain) : domain_(domain), dom0_(domain.machine().dom0()) {
  const auto remote = static_cast<Port>(domain.hvm_param(HVM_PARAM_CONSOLE_EVTCHN));
  const int64_t port = dom0_.events().bind_interdomain(domain.id(), remote);
  if (port <= 0) throw std::runtime_error("the console's event channel can't be bound");
  port_ = static_cast<uint32_t>(port);
}

ConsoleEnd::~ConsoleEnd() { dom0_.events().close(port_); }

xencons_interface& ConsoleEnd::page() const {
  return *reinterpret_cast<xencons_interface*>(
      domain_.page_address(domain_.hvm_param(HVM_PARAM_CONSOLE_PFN)));
}

std::string ConsoleEnd::read() {
  xencons_interface& shared = page();
  std::string text;
  uint32_t at = load(shared.out_cons);
  for (const uint32_t end = load(shared.out_prod); at != end; ++at) {
    text.push_back(shared.out[MASK_XENCONS_IDX(at, shared.out)]);
  }
  store(shared.out_cons, at);
  if (!text.empty()) dom0_.events().send(port_);
  return text;
}

size_t ConsoleEnd::type(std::string_view text) {
  xencons_interface& shared = page();
  uint32_t at = load(shared.in_prod);
  size_t count = 0;
  for (; count < text.size() && at - load(shared.in_cons) < sizeof(shared.in); ++count) {
    shared.in[MASK_XENCONS_IDX(at++, shared.in)] = text[count];
  }
  store(shared.in_prod, at);
  if (count != 0) dom0_.events().send(port_);
  return count;
}

bool ConsoleEnd::told() { return dom0_.events().take_pending(port_); }

}  // namespace ringside::sim
