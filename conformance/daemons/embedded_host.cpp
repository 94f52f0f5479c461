#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <map>

#include "conformance/daemons/store_host.hpp"
#include "conformance/daemons/store_service.hpp"
#include "conformance/rig/host.hpp"

namespace ringside::conformance {
namespace {

constexpr int kPatienceMs = 60'000;

/// A domain's kernel as far as the store goes: its page, and events that wake a waiting thread.
class EmbeddedRing final : public StoreRing, sim::EventSink {
 public:
  explicit EmbeddedRing(sim::Domain& domain)
      : domain_(domain), arrived_(eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK)) {
    const auto gfns = domain.allocate_pages(1);
    frame_ = gfns.at(0);
    port_ = static_cast<sim::Port>(domain.events().alloc_unbound(0));
    domain.set_hvm_param(HVM_PARAM_STORE_PFN, frame_);
    domain.set_hvm_param(HVM_PARAM_STORE_EVTCHN, port_);
    domain.grants().permit(GNTTAB_RESERVED_XENSTORE, 0, frame_);
    domain.events().route(port_, this);
  }
  ~EmbeddedRing() override {
    if (!domain_.dying()) domain_.events().route(port_, nullptr);
    close(arrived_);
  }

  xenstore_domain_interface& page() override {
    return *reinterpret_cast<xenstore_domain_interface*>(domain_.page_address(frame_));
  }
  void notify() override { domain_.events().send(port_); }
  bool wait() override {
    pollfd readable{arrived_, POLLIN, 0};
    if (poll(&readable, 1, kPatienceMs) != 1) return false;
    uint64_t one;
    return read(arrived_, &one, sizeof(one)) == sizeof(one);
  }

  uint64_t frame() const { return frame_; }
  sim::Port port() const { return port_; }

 private:
  void raise(sim::Port) override {
    domain_.events().take_pending(port_);
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(arrived_, &one, sizeof(one));
  }

  sim::Domain& domain_;
  int arrived_;
  uint64_t frame_ = 0;
  sim::Port port_ = 0;
};

class EmbeddedHost final : public StoreHost {
 public:
  EmbeddedHost() : host_({.threaded = true}), service_(host_.xenstored().server()) {}

  const std::string& name() const override { return name_; }
  const std::string& socket() const override { return service_.socket(); }
  void create_domain(uint16_t domid) override {
    sim::Domain& domain = host_.machine().create_domain();
    if (domain.id() != domid) throw RigError("domains count up from 1");
    rings_.emplace(domid, std::make_unique<EmbeddedRing>(domain));
  }
  uint64_t store_frame(uint16_t domid) override { return rings_.at(domid)->frame(); }
  uint32_t store_port(uint16_t domid) override { return rings_.at(domid)->port(); }
  StoreRing& ring(uint16_t domid) override { return *rings_.at(domid); }
  void shut_down(uint16_t domid) override {
    host_.machine().find(domid)->set_shutdown(SHUTDOWN_poweroff);
    host_.machine().dom0().events().raise_virq(VIRQ_DOM_EXC);
  }
  void destroy(uint16_t domid) override {
    rings_.erase(domid);
    host_.machine().destroy_domain(domid);
  }

 private:
  std::string name_ = "ringside";
  Host host_;
  StoreService service_;
  std::map<uint16_t, std::unique_ptr<EmbeddedRing>> rings_;
};

}  // namespace

std::unique_ptr<StoreHost> embedded_store_host() { return std::make_unique<EmbeddedHost>(); }

}  // namespace ringside::conformance
