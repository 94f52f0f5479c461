#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/host.hpp"
#include "protocols/xenbus/device.hpp"

namespace ringside::conformance {

/// A device driver that writes down what the state machine asks of it, and holds one grant
/// and one event channel while it is connected.
class RecordingDriver final : public xenbus::DeviceDriver {
 public:
  explicit RecordingDriver(xenbus::Services services) : services_(services) {}

  Status prepare(xenbus::DomainId backend_domain, const xenbus::Node& backend) override {
    calls.emplace_back("prepare");
    seen_domain = backend_domain;
    seen_backend = backend.path();
    seen_feature = xenbus::Fields(backend).number("feature-example", 0);
    if (!ok(prepare_answer)) return prepare_answer;
    page_ = *services_.platform.allocate_page();
    cache_ = *services_.grants.create_cache("recording driver", 1, 4);
    ref_ = *cache_->permit(backend_domain, page_.frame, xenbus::Access::kReadWrite);
    channel_ = *services_.events.open_unbound(backend_domain,
                                              Delegate::to<&RecordingDriver::event>(*this), 0);
    return Status::kOk;
  }
  Status publish(const xenbus::Node& frontend) override {
    calls.emplace_back("publish");
    if (on_publish) on_publish();
    const Status status = frontend.write_number("ring-ref", ref_);
    return ok(status) ? frontend.write_number("event-channel", channel_->port()) : status;
  }
  Status connect(const xenbus::Node& backend) override {
    calls.emplace_back("connect");
    seen_sectors = xenbus::Fields(backend).number("sectors", 0);
    return connect_answer;
  }
  void backend_changed(const xenbus::Node& backend) override {
    calls.emplace_back("changed");
    seen_sectors = xenbus::Fields(backend).number("sectors", 0);
  }
  void stop() override { calls.emplace_back("stop"); }
  void release() override {
    calls.emplace_back("release");
    channel_.reset();
    if (!cache_) return;
    EXPECT_EQ(cache_->revoke(ref_), Status::kOk);
    cache_.reset();
    services_.platform.release_page(page_);
  }

  /// How often `call` was made.
  long count(std::string_view call) const { return std::count(calls.begin(), calls.end(), call); }
  /// The calls without those for changes, whose number depends on the order of events.
  std::vector<std::string> steps() const {
    std::vector<std::string> steps = calls;
    std::erase(steps, "changed");
    return steps;
  }
  bool holds_grant() const { return bool{cache_}; }

  std::vector<std::string> calls;
  std::function<void()> on_publish;
  Status prepare_answer = Status::kOk;
  Status connect_answer = Status::kOk;
  xenbus::DomainId seen_domain = 0xffff;
  std::string seen_backend;
  uint64_t seen_feature = 0;
  uint64_t seen_sectors = 0;

 private:
  void event() {}

  xenbus::Services services_;
  platform::Page page_;
  xenbus::GrantRef ref_ = 0;
  Owned<xenbus::GrantCache> cache_;
  Owned<xenbus::EventChannel> channel_;
};

/// One vif's front end under test; the test writes what a back end would.
class DeviceTest : public testing::Test {
 protected:
  using Calls = std::vector<std::string>;
  using State = xenbus::DeviceState;

  DeviceTest() : paths_(host_.toolstack().attach_vif(guest_.domid())), driver_(guest_.services()) {}
  ~DeviceTest() override { destroy(); }

  void start(State published = State::kConnected) {
    guest_.run([&] {
      device_ = *xenbus::Device::create(guest_.services(), "device/vif/0", {.published = published},
                                        driver_);
      EXPECT_EQ(device_->start(), Status::kOk);
    });
  }
  /// From Initialising to both sides Connected.
  void connect() {
    start();
    backend_is(State::kInitWait);
    expect_own_state(State::kConnected);
    backend_is(State::kConnected);
    host_.require("connected", [&] { return driver_.count("connect") == 1; });
    settle();
  }
  /// What a well-behaved back end does when the front end leaves.
  void leave() {
    expect_own_state(State::kClosing);
    backend_is(State::kClosing);
    expect_own_state(State::kClosed);
    backend_is(State::kClosed);
    EXPECT_TRUE(guest_.wait(device_->closed()));
  }
  void close() {
    guest_.run([&] { device_->close(); });
  }
  void destroy() {
    if (device_) guest_.run([&] { [[maybe_unused]] const auto last = std::move(device_); });
  }
  Status reopen() {
    Status status = Status::kOk;
    guest_.run([&] { status = device_->reopen(); });
    return status;
  }

  std::string own(std::string_view key) {
    return host_.toolstack().read(paths_.frontend + "/" + std::string(key)).value_or("");
  }
  void set_own(std::string_view key, std::string_view value) {
    host_.toolstack().write(paths_.frontend + "/" + std::string(key), value);
  }
  void set_backend(std::string_view key, std::string_view value) {
    host_.toolstack().write(paths_.backend + "/" + std::string(key), value);
  }
  void backend_is(State state) { set_backend("state", text(state)); }
  void expect_own_state(State state) {
    host_.require("own state " + text(state), [&] { return own("state") == text(state); });
  }
  /// Enough for any step the front end could take without the back end.
  void settle() { host_.pass(platform::kSecond); }
  static std::string text(State state) { return std::to_string(static_cast<unsigned>(state)); }

  Host host_;
  DriverGuest guest_{host_};
  sim::DevicePaths paths_;
  RecordingDriver driver_;
  platform::Box<xenbus::Device> device_;
};

}  // namespace ringside::conformance
