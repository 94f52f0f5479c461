#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "conformance/rig/host.hpp"
#include "protocols/xenbus/bus.hpp"
#include "sim/guest/guest.hpp"
#include "sim/machine/machine.hpp"
#include "sim/world/world.hpp"

namespace ringside::conformance {

/// A guest whose xenstored is played by the test, byte by byte.
class PlayedStore : public testing::Test {
 protected:
  struct Request {
    xsd_sockmsg header{};
    std::string payload;
  };

  PlayedStore() {
    page_gfn_ = domain_.allocate_pages(1).at(0);
    page_ = reinterpret_cast<xenstore_domain_interface*>(domain_.page_address(page_gfn_));
    port_ = static_cast<sim::Port>(domain_.events().alloc_unbound(0));
    domain_.set_hvm_param(HVM_PARAM_STORE_PFN, page_gfn_);
    domain_.set_hvm_param(HVM_PARAM_STORE_EVTCHN, port_);
    dom0_port_ =
        static_cast<sim::Port>(machine_.dom0().events().bind_interdomain(domain_.id(), port_));
    guest_ = std::make_unique<sim::Guest>(machine_, domain_);
    // Short in virtual time only.
    guest_->set_setting("StoreTimeoutMs", 2000);
    on_request = [this](const Request& request) { serve(request); };
  }
  ~PlayedStore() override {
    if (bus_) run([this] { [[maybe_unused]] const auto last = std::move(bus_); });
    guest_.reset();
    stop_ = true;
    world_->run_until([this] { return stopped_; }, platform::kSecond);
  }

  /// Brings up XENBUS, and the player with it.
  Status start() {
    world_->spawn("played xenstored", [this] { play(); });
    playing_ = true;
    Status status = Status::kOk;
    run([&] {
      auto bus = xenbus::Bus::create(guest_->platform(), guest_->hypercall());
      status = bus.status();
      if (bus) bus_ = *std::move(bus);
    });
    return status;
  }
  xenbus::Store& store() { return bus_->store(); }
  void run(const std::function<void()>& job) {
    ASSERT_TRUE(guest_->run(0, job, 600 * platform::kSecond)) << "the guest hangs";
  }
  bool run_until(const std::function<bool()>& done) {
    return world_->run_until(done, 60 * platform::kSecond);
  }
  void pass(sim::Nanoseconds span) {
    (void)world_->run_until([] { return false; }, span);
  }

  // --- the player's hands -----------------------------------------------------------------
  void reply(const Request& request, std::string_view payload) {
    send(request.header.type, request.header.req_id, request.header.tx_id, payload);
  }
  void fail(const Request& request, std::string_view error) {
    send(XS_ERROR, request.header.req_id, request.header.tx_id, std::string(error) + '\0');
  }
  void fire(std::string_view path, std::string_view token) {
    std::string payload(path);
    payload += '\0';
    payload += token;
    payload += '\0';
    send(XS_WATCH_EVENT, 0, 0, payload);
  }
  void send(uint32_t type, uint32_t id, uint32_t transaction, std::string_view payload) {
    send_header({type, id, transaction, static_cast<uint32_t>(payload.size())});
    out_ += payload;
  }
  void send_header(const xsd_sockmsg& header) {
    out_.append(reinterpret_cast<const char*>(&header), sizeof(header));
  }
  void notify() { machine_.dom0().events().send(dom0_port_); }

  /// A friendly xenstored without a memory.
  void serve(const Request& request) {
    switch (request.header.type) {
      case XS_READ:
        return reply(request, "value of " + request.payload.substr(0, request.payload.find('\0')));
      case XS_TRANSACTION_START: return reply(request, {"17\0", 3});
      default: return reply(request, {"OK\0", 3});
    }
  }

  /// Called with each whole request; friendly at first.
  std::function<void(const Request&)> on_request;
  size_t piece_ = 4096;     ///< bytes that the player moves at once, either way
  bool deaf_ = false;       ///< takes no requests
  unsigned announced_ = 0;  ///< events of the guest seen by the player

  std::unique_ptr<sim::World> world_ = sim::World::deterministic(options().seed);
  sim::Machine machine_{*world_};
  sim::Domain& domain_ = machine_.create_domain();
  uint64_t page_gfn_ = 0;
  xenstore_domain_interface* page_ = nullptr;
  sim::Port port_ = 0;
  sim::Port dom0_port_ = 0;
  std::unique_ptr<sim::Guest> guest_;
  platform::Box<xenbus::Bus> bus_;
  std::string out_;  ///< what the player still has to put into the ring

 private:
  static uint32_t load(uint32_t& index) { return std::atomic_ref(index).load(); }
  static void store(uint32_t& index, uint32_t value) { std::atomic_ref(index).store(value); }

  void play() {
    while (!stop_) {
      if (machine_.dom0().events().take_pending(dom0_port_)) ++announced_;
      if (!deaf_) take_requests();
      put_replies();
      sim::Actor::current()->sleep(world_->now() + 50'000);
    }
    stopped_ = true;
  }
  void take_requests() {
    const uint32_t produced = load(page_->req_prod);
    uint32_t consumed = load(page_->req_cons);
    for (size_t i = 0; i < piece_ && consumed != produced; ++i) {
      in_ += page_->req[MASK_XENSTORE_IDX(consumed++)];
    }
    if (consumed == load(page_->req_cons)) return;
    store(page_->req_cons, consumed);
    notify();
    while (in_.size() >= sizeof(xsd_sockmsg)) {
      Request request;
      std::memcpy(&request.header, in_.data(), sizeof(request.header));
      const size_t whole = sizeof(request.header) + request.header.len;
      if (in_.size() < whole) break;
      request.payload = in_.substr(sizeof(request.header), request.header.len);
      in_.erase(0, whole);
      on_request(request);
    }
  }
  void put_replies() {
    uint32_t produced = load(page_->rsp_prod);
    const uint32_t room = XENSTORE_RING_SIZE - (produced - load(page_->rsp_cons));
    const size_t count = std::min({out_.size(), piece_, size_t{room}});
    if (count == 0) return;
    for (size_t i = 0; i < count; ++i) page_->rsp[MASK_XENSTORE_IDX(produced++)] = out_[i];
    out_.erase(0, count);
    store(page_->rsp_prod, produced);
    notify();
  }

  bool playing_ = false;
  bool stop_ = false;
  bool stopped_ = false;
  std::string in_;
};

}  // namespace ringside::conformance
