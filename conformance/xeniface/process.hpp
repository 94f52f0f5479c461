#pragma once

#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "protocols/platform/platform.hpp"
#include "protocols/xeniface/caller.hpp"

namespace ringside::conformance {

/// An event object of a process; drivers hold references to it.
struct EventObject {
  std::atomic<int> signals = 0;
  std::atomic<int> references = 0;
};

/// A process of the guest, as a shell shows it to XENIFACE: an address space, handles, a token.
class Process final : public xeniface::Caller {
 public:
  using UserAddress = xeniface::UserAddress;

  explicit Process(platform::Platform& platform) : platform_(platform) {}
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // --- what a program does; in the guest --------------------------------------------------
  /// Ends: its memory goes back to the system, pinned pages once they are not pinned any more.
  void exit() {
    const std::lock_guard guard(mutex_);
    exited_ = true;
    for (auto at = pages_.begin(); at != pages_.end();) {
      const bool free = at->second.own && at->second.pins == 0;
      if (free) platform_.release_page(at->second.page);
      at = free ? pages_.erase(at) : std::next(at);
    }
  }
  /// Allocates `count` pages in one piece.
  UserAddress allocate(unsigned count = 1, bool writable = true) {
    const std::lock_guard guard(mutex_);
    const UserAddress first = take_addresses(count);
    for (unsigned i = 0; i < count; ++i) {
      pages_[first + i * platform::kPageSize] = {
          .page = *platform_.allocate_page(), .own = true, .writable = writable};
    }
    return first;
  }
  /// Puts bytes into its memory, at the very end of a page or more.
  UserAddress place(std::string_view bytes) {
    const auto count =
        static_cast<unsigned>((bytes.size() + platform::kPageSize - 1) / platform::kPageSize);
    const UserAddress at = allocate(count) + count * platform::kPageSize - bytes.size();
    for (size_t i = 0; i < bytes.size(); ++i) *find(at + i) = static_cast<std::byte>(bytes[i]);
    return at;
  }
  /// nullptr where nothing is mapped.
  std::byte* find(UserAddress address) {
    const std::lock_guard guard(mutex_);
    const auto found = pages_.find(address & ~UserAddress{platform::kPageSize - 1});
    if (found == pages_.end()) return nullptr;
    return found->second.page.address + address % platform::kPageSize;
  }
  uint32_t create_event() {
    const std::lock_guard guard(mutex_);
    events_[next_handle_] = std::make_shared<EventObject>();
    return std::exchange(next_handle_, next_handle_ + 4);
  }
  EventObject& event(uint32_t handle) {
    const std::lock_guard guard(mutex_);
    return *events_.at(handle);
  }
  unsigned pins() const {
    const std::lock_guard guard(mutex_);
    unsigned pins = 0;
    for (const auto& [address, page] : pages_) pins += page.pins;
    return pins;
  }
  unsigned mapped_regions() const { return regions_; }

  // --- what the shell does ----------------------------------------------------------------
  bool is_administrator() const override { return administrator; }
  bool may_read_and_write() const override { return read_and_write; }
  Status read(UserAddress from, std::span<std::byte> to) override {
    ++reads;
    for (std::byte& byte : to) {
      const std::byte* const at = find(from++);
      if (at == nullptr) return Status::kAccessDenied;
      byte = *at;
    }
    return Status::kOk;
  }
  Result<Owned<platform::Event>> open_event(xeniface::UserHandle handle) override {
    if (meanwhile) meanwhile();
    const std::lock_guard guard(mutex_);
    const auto found = events_.find(handle);
    if (found == events_.end()) return Status::kNotFound;
    return Owned<platform::Event>(new Reference(found->second));
  }
  Result<Owned<xeniface::UserMapping>> map(std::span<const platform::Page> pages,
                                           xenbus::Access access) override {
    if (fail_mapping) return Status::kNoMemory;
    const std::lock_guard guard(mutex_);
    const UserAddress first = take_addresses(static_cast<unsigned>(pages.size()));
    for (size_t i = 0; i < pages.size(); ++i) {
      pages_[first + i * platform::kPageSize] = {.page = pages[i],
                                                 .writable = access == xenbus::Access::kReadWrite};
    }
    ++regions_;
    return Owned<xeniface::UserMapping>(new Mapping(*this, first, pages.size()));
  }
  Result<Owned<xeniface::UserMapping>> pin(UserAddress address, std::span<platform::Page> pages,
                                           xenbus::Access access) override {
    const std::lock_guard guard(mutex_);
    for (size_t i = 0; i < pages.size(); ++i) {
      const auto found = pages_.find(address + i * platform::kPageSize);
      if (found == pages_.end() || !found->second.own) return Status::kAccessDenied;
      if (access == xenbus::Access::kReadWrite && !found->second.writable) {
        return Status::kAccessDenied;
      }
      pages[i] = found->second.page;
    }
    for (size_t i = 0; i < pages.size(); ++i) ++pages_[address + i * platform::kPageSize].pins;
    return Owned<xeniface::UserMapping>(new Pin(*this, address, pages.size()));
  }

  bool administrator = true;
  bool read_and_write = true;
  bool fail_mapping = false;
  std::function<void()> meanwhile;  ///< happens while a request opens an event
  std::atomic<unsigned> reads = 0;  ///< how often its memory was looked at

 private:
  struct UserPage {
    platform::Page page;
    bool own = false;
    bool writable = true;
    unsigned pins = 0;
  };

  class Reference final : public platform::Event {
   public:
    explicit Reference(std::shared_ptr<EventObject> object) : object_(std::move(object)) {
      ++object_->references;
    }
    void signal() override { ++object_->signals; }
    void reset() override {}
    void destroy() override {
      --object_->references;
      delete this;
    }

   private:
    std::shared_ptr<EventObject> object_;
  };

  class Mapping final : public xeniface::UserMapping {
   public:
    Mapping(Process& process, UserAddress address, size_t count)
        : process_(process), address_(address), count_(count) {}
    UserAddress address() const override { return address_; }
    void keep() override {}
    void destroy() override {
      const std::lock_guard guard(process_.mutex_);
      for (size_t i = 0; i < count_; ++i) {
        process_.pages_.erase(address_ + i * platform::kPageSize);
      }
      --process_.regions_;
      delete this;
    }

   private:
    Process& process_;
    UserAddress address_;
    size_t count_;
  };

  class Pin final : public xeniface::UserMapping {
   public:
    Pin(Process& process, UserAddress address, size_t count)
        : process_(process), address_(address), count_(count) {}
    UserAddress address() const override { return address_; }
    void keep() override { kept_ = true; }
    void destroy() override {
      for (size_t i = 0; i < count_ && !kept_; ++i) {
        process_.unpin(address_ + i * platform::kPageSize);
      }
      delete this;
    }

   private:
    Process& process_;
    UserAddress address_;
    size_t count_;
    bool kept_ = false;
  };

  void unpin(UserAddress address) {
    const std::lock_guard guard(mutex_);
    UserPage& page = pages_.at(address);
    if (--page.pins != 0 || !exited_) return;
    platform_.release_page(page.page);
    pages_.erase(address);
  }
  UserAddress take_addresses(unsigned count) {
    return std::exchange(next_address_, next_address_ + (count + 1) * platform::kPageSize);
  }

  platform::Platform& platform_;
  mutable std::recursive_mutex mutex_;
  std::map<UserAddress, UserPage> pages_;
  std::map<xeniface::UserHandle, std::shared_ptr<EventObject>> events_;
  UserAddress next_address_ = 0x10000000;
  uint32_t next_handle_ = 0x44;
  unsigned regions_ = 0;
  bool exited_ = false;
};

/// A request that stays pending, as its caller sees it.
class Irp final : public xeniface::PendingRequest {
 public:
  Status deliver(std::span<const std::byte> bytes) override {
    ++deliveries;
    if (meanwhile) meanwhile();
    if (fail_delivery) return Status::kAccessDenied;
    output.assign(bytes.begin(), bytes.end());
    return Status::kOk;
  }
  void complete(xeniface::NtStatus with) override {
    status = with;
    ++completions;
  }
  template <typename T>
  T at(size_t offset) const {
    T value{};
    std::memcpy(&value, output.data() + offset, sizeof(T));
    return value;
  }

  std::vector<std::byte> output;
  std::optional<xeniface::NtStatus> status;
  std::atomic<int> completions = 0;
  int deliveries = 0;
  bool fail_delivery = false;
  std::function<void()> meanwhile;  ///< happens while the output is delivered
};

}  // namespace ringside::conformance
