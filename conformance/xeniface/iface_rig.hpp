#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/host.hpp"
#include "conformance/xeniface/played_suspend.hpp"
#include "conformance/xeniface/process.hpp"
#include "protocols/xeniface/gateway.hpp"

namespace ringside::conformance {

using xeniface::Answer;
using xeniface::Ioctl;
using xeniface::NtStatus;
using xeniface::UserAddress;
using xeniface::Width;

/// The bytes of a structure, and then of more.
class Input {
 public:
  Input() = default;
  template <typename T>
  explicit Input(const T& value) {
    append(value);
  }
  static Input text(std::string_view text) {
    Input input;
    for (const char c : text) input.append(c);
    return input;
  }
  template <typename T>
  Input& append(const T& value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    for (const std::byte byte : bytes) bytes_.push_back(byte);
    return *this;
  }
  Input& resize(size_t size) {
    bytes_.resize(size, std::byte{0});
    return *this;
  }
  size_t size() const { return bytes_.size(); }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// A buffer at an odd address that ends where its bytes end: nothing says that a caller's
/// structures are aligned.
class Odd {
 public:
  Odd(const Input& input, size_t output) : bytes_(1 + std::max(input.size(), output)) {
    std::copy(input.bytes().begin(), input.bytes().end(), bytes_.begin() + 1);
  }
  std::span<std::byte> span() { return std::span(bytes_).subspan(1); }

 private:
  std::vector<std::byte> bytes_;
};

/// What a buffered request came back with.
struct Reply {
  NtStatus status = NtStatus::kSuccess;
  size_t information = 0;
  std::vector<std::byte> buffer;

  template <typename T>
  T as() const {
    T value{};
    EXPECT_EQ(information, sizeof(T));
    if (buffer.size() >= sizeof(T)) std::memcpy(&value, buffer.data(), sizeof(T));
    return value;
  }
  std::string text() const {
    return {reinterpret_cast<const char*>(buffer.data()), std::min(information, buffer.size())};
  }
};

/// XENIFACE in a guest, two processes that have it open, and a peer domain.
class IfaceTest : public testing::Test {
 protected:
  using Handle = xeniface::Handle;

  explicit IfaceTest(const HostConfig& config = {}) : host_(config) {
    guest_.run([&] {
      shared_info_ =
          *xenbus::acquire<xenbus::SharedInfo>(guest_.bus().directory(), {2, 4}, "XENIFACE");
      gateway_ = *xeniface::Gateway::create({.services = guest_.services(),
                                             .foreign = &guest_.bus().foreign(),
                                             .suspend = &suspend_,
                                             .shared_info = shared_info_.get()});
      one_ = *gateway_->open(process_);
      two_ = *gateway_->open(other_process_);
    });
  }
  ~IfaceTest() override {
    if (gateway_) take_down();
    guest_.run([&] {
      process_.exit();
      other_process_.exit();
    });
    EXPECT_EQ(guest_.shut_down(), std::vector<std::string>{});
    host_.toolstack().destroy_domain(peer_.id());
  }
  void take_down() {
    guest_.run([&] {
      one_.reset();
      two_.reset();
      [[maybe_unused]] const auto last = std::move(gateway_);
      shared_info_ = {};
    });
    EXPECT_EQ(process_.mapped_regions() + other_process_.mapped_regions(), 0u);
  }

  Reply call(Handle& handle, Ioctl code, const Input& input = {}, size_t output = 0,
             Width width = Width::k64) {
    Reply reply;
    Odd buffer(input, output);
    guest_.run([&] {
      const Answer answer = handle.dispatch({.code = static_cast<uint32_t>(code),
                                             .buffer = buffer.span(),
                                             .input_length = static_cast<uint32_t>(input.size()),
                                             .output_length = static_cast<uint32_t>(output),
                                             .width = width});
      reply.status = answer.status;
      reply.information = answer.information;
    });
    reply.buffer.assign(buffer.span().begin(), buffer.span().end());
    return reply;
  }
  NtStatus pend(Handle& handle, Ioctl code, Irp& irp, const Input& input, size_t output,
                Width width = Width::k64) {
    Answer answer;
    Odd buffer(input, 0);
    guest_.run([&] {
      answer = handle.dispatch({.code = static_cast<uint32_t>(code),
                                .buffer = buffer.span(),
                                .input_length = static_cast<uint32_t>(input.size()),
                                .output_length = static_cast<uint32_t>(output),
                                .width = width,
                                .pending = &irp});
    });
    EXPECT_EQ(answer.information, 0u);
    return answer.status;
  }
  Irp& new_irp() { return irps_.emplace_back(); }
  void cancel(Handle& handle, Irp& irp) {
    guest_.run([&] { handle.cancel(irp); });
  }

  // --- store ------------------------------------------------------------------------------
  std::string in_guest(std::string_view path) {
    return "/local/domain/" + std::to_string(guest_.domid()) + "/" + std::string(path);
  }
  std::string stored(std::string_view path) {
    return host_.toolstack().read(in_guest(path)).value_or("(none)");
  }
  void store(std::string_view path, std::string_view value) {
    host_.toolstack().write(in_guest(path), value);
  }
  template <typename Pointer = uint64_t>
  Reply add_watch(Handle& handle, Process& process, std::string path, uint32_t event) {
    path += '\0';
    UserAddress at = 0;
    guest_.run([&] { at = process.place(path); });
    const xeniface::StoreAddWatchIn<Pointer> in{static_cast<Pointer>(at),
                                                static_cast<uint32_t>(path.size()), event};
    return call(handle, Ioctl::kStoreAddWatch, Input(in), sizeof(Pointer),
                sizeof(Pointer) == 8 ? Width::k64 : Width::k32);
  }
  NtStatus remove_watch(Handle& handle, uint64_t context) {
    return call(handle, Ioctl::kStoreRemoveWatch, Input(context)).status;
  }

  // --- event channels ---------------------------------------------------------------------
  Reply bind_unbound(Handle& handle, uint32_t event, bool masked = false) {
    const xeniface::EvtchnBindUnboundIn<uint64_t> in{peer_.id(), masked, event};
    return call(handle, Ioctl::kEvtchnBindUnbound, Input(in), 4);
  }
  NtStatus on_port(Handle& handle, Ioctl code, uint32_t port) {
    return call(handle, code, Input(port)).status;
  }
  /// A channel to the peer that the peer has bound to: the local port and the peer's.
  std::pair<uint32_t, sim::Port> connect(Handle& handle, uint32_t event, bool masked = false) {
    const auto local = bind_unbound(handle, event, masked).as<uint32_t>();
    const int64_t remote = peer_.events().bind_interdomain(guest_.domid(), local);
    EXPECT_GT(remote, 0);
    settle();
    return {local, static_cast<sim::Port>(remote)};
  }
  bool peer_was_notified(sim::Port port) { return peer_.events().take_pending(port); }

  // --- grants -----------------------------------------------------------------------------
  xeniface::GnttabPermitInV2<uint64_t> permit_in(uint32_t pages, UserAddress address = 0) {
    return {peer_.id(), address, pages, 0, 0, 0};
  }
  static constexpr size_t permit_out(uint64_t pages) { return 8 + 4 * pages; }
  NtStatus permit(Handle& handle, Irp& irp, const xeniface::GnttabPermitInV2<uint64_t>& in) {
    return pend(handle, Ioctl::kGnttabPermitV2, irp, Input(in), permit_out(in.pages));
  }
  static UserAddress address_of(const Irp& irp) { return irp.at<uint64_t>(0); }
  static uint32_t reference_of(const Irp& irp, size_t page = 0) {
    return irp.at<uint32_t>(8 + 4 * page);
  }
  NtStatus revoke(Handle& handle, UserAddress address) {
    return call(handle, Ioctl::kGnttabRevokeV2, Input(address)).status;
  }
  sim::GrantMap map(uint32_t reference, bool read_only = false) {
    return peer_.grants().map(guest_.domid(), reference, read_only);
  }
  void unmap(const sim::GrantMap& mapped) {
    EXPECT_EQ(peer_.grants().unmap(mapped.handle), GNTST_okay);
  }
  std::byte* peer_sees(const sim::GrantMap& mapped) {
    return host_.machine().frames().address(mapped.frame);
  }

  void settle() { host_.pass(10 * platform::kMillisecond); }

  Host host_;
  sim::Domain& peer_ = host_.toolstack().create_domain({.name = "peer"});
  DriverGuest guest_{host_, {.vcpus = 2}};
  PlayedSuspend suspend_;
  Process process_{guest_.platform()};
  Process other_process_{guest_.platform()};
  xenbus::Acquired<xenbus::SharedInfo> shared_info_;
  platform::Box<xeniface::Gateway> gateway_;
  Owned<Handle> one_;
  Owned<Handle> two_;
  std::deque<Irp> irps_;  ///< some complete as late as in take_down()
};

}  // namespace ringside::conformance
