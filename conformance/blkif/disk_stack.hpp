#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>

#include "conformance/blkif/accounting.hpp"
#include "conformance/blkif/test_request.hpp"
#include "conformance/rig/vbd_device.hpp"

namespace ringside::conformance {

/// A guest's disk over the whole simulated stack: XENVBD, XENBUS, Xen, xenstored, blkback.
class DiskStack {
 public:
  using Operation = xenvbd::Operation;

  explicit DiskStack(const backends::BlkbackProfile& profile, uint64_t sectors = 16384)
      : disk(std::make_shared<backends::MemoryDisk>(sectors)) {
    config.profile = profile;
    config.open_disk = [this](const backends::VbdIdentity&, std::string&) { return disk; };
  }
  ~DiskStack() { finish(); }
  DiskStack(const DiskStack&) = delete;
  DiskStack& operator=(const DiskStack&) = delete;

  void start_back_end() { blkback = start_blkback(host, config); }
  void attach() {
    if (!blkback) start_back_end();
    guest = std::make_unique<DriverGuest>(host, guest_config);
    for (const auto& [name, value] : settings) guest->guest().set_setting(name, value);
    vbd = std::make_unique<VbdDevice>(*guest, client, vbd_config);
  }
  void connect() {
    attach();
    ASSERT_TRUE(vbd->connect());
  }
  xenvbd::Queue& queue(unsigned index = 0) { return (*vbd)->queue(index); }

  TestRequest& make(Operation operation, uint64_t sector, unsigned pages = 0) {
    TestRequest* made = nullptr;
    guest->run([&] {
      made = &requests_.emplace_back(guest->platform(), operation, sector);
      made->add_pages(pages);
    });
    return *made;
  }
  /// From the queue's CPU, where it has one.
  Status submit(TestRequest& test, unsigned index = 0) {
    Status status = Status::kOk;
    const auto job = [&] {
      client.expect(test.request);
      status = queue(index).submit(test.request);
      if (!ok(status)) client.refused(test.request);
      queue(index).kick();
    };
    guest->run(job, index);
    return status;
  }
  TestRequest& submitted(TestRequest& test, unsigned index = 0) {
    EXPECT_EQ(submit(test, index), Status::kOk);
    return test;
  }
  bool wait_for(size_t completions) {
    return host.run_until([&] { return client.completions() >= completions; });
  }
  /// Submits and waits; the status it completed with.
  Status done(TestRequest& test) {
    const Status status = submit(test);
    if (!ok(status)) return status;
    host.run_until([&] { return client.status(test.request.cookie).has_value(); });
    return client.status(test.request.cookie).value_or(Status::kTimedOut);
  }
  Status write(uint64_t sector, const std::vector<std::byte>& bytes) {
    TestRequest& test = make(Operation::kWrite, sector, static_cast<unsigned>(bytes.size() / 4096));
    test.set_bytes(bytes);
    return done(test);
  }
  std::string frontend_node(const std::string& key) {
    return host.toolstack().read(vbd->paths().frontend + "/" + key).value_or("absent");
  }

  /// Closes everything and looks at what is left: nothing may be.
  void finish() {
    if (!guest) return;
    EXPECT_TRUE(vbd->close());
    for (unsigned i = 0; i < (*vbd)->queue_count(); ++i) EXPECT_EQ(client.faults(queue(i)), "");
    vbd.reset();
    guest->run([this] { requests_.clear(); });
    for (const std::string& leak : guest->shut_down()) ADD_FAILURE() << leak;
    guest.reset();
    blkback.reset();
    for (const std::string& leak : host.audit()) ADD_FAILURE() << leak;
  }

  Host host;
  std::shared_ptr<backends::MemoryDisk> disk;
  backends::Blkback::Config config;
  sim::GuestConfig guest_config;
  sim::VbdConfig vbd_config;
  std::vector<std::pair<std::string, uint32_t>> settings;
  Accounting client;
  std::unique_ptr<BlkbackActor> blkback;
  std::unique_ptr<DriverGuest> guest;
  std::unique_ptr<VbdDevice> vbd;

 private:
  std::deque<TestRequest> requests_;
};

inline backends::BlkbackProfile blkback_named(const char* name) {
  return *backends::find_blkback_profile(name);
}

}  // namespace ringside::conformance
