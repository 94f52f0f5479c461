#pragma once

#include <atomic>
#include <span>
#include <string_view>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/services.hpp"

namespace ringside::xenbus {

/// Follows the children of a directory of the store as they come and go: device classes below
/// "device", devices below "device/vif". Must be gone before the bus.
class Enumerator {
 public:
  /// Who makes something of a child. One call at a time, at passive level.
  class Client {
   public:
    /// The child is there. Anything but kOk: it is offered again at the next look, which follows
    /// soon.
    virtual Status arrived(std::string_view name) = 0;
    /// A child that had arrived is there no more: it was detached, or torn out.
    virtual void departed(std::string_view name) = 0;

   protected:
    ~Client() = default;
  };
  struct Config {
    std::string_view directory;                     ///< relative to the domain
    std::span<const std::string_view> supported{};  ///< only these arrive; empty: all do
    std::span<const std::string_view> synthetic{};  ///< arrive whether they are there or not
  };

  /// What `config` refers to must outlive the enumerator, but for the directory's name.
  static Result<platform::Box<Enumerator>> create(const Services& services, const Config& config,
                                                  Client& client);
  Enumerator(const Services& services, const Config& config, Client& client)  ///< see create()
      : services_(services), config_(config), client_(client) {}
  Enumerator(const Enumerator&) = delete;
  Enumerator& operator=(const Enumerator&) = delete;
  /// Passive level. Children that are still there do not depart.
  ~Enumerator();

 private:
  struct Child {
    platform::Buffer name;
    bool present = false;  ///< seen by the look under way
    platform::Box<Child> next;
  };
  /// When a look that failed, or an arrival that was refused, is tried again.
  static constexpr platform::Nanoseconds kRetryDelay = 100 * platform::kMillisecond;

  Status start();
  void changed() { work_->queue(); }
  void run();
  Status look();
  Status offer(std::string_view name);
  void sweep();
  bool is_supported(std::string_view name) const;

  Services services_;
  Config config_;
  Client& client_;
  platform::Buffer directory_;
  platform::Box<Child> children_;
  std::atomic<unsigned> runs_wanted_ = 0;
  std::atomic<bool> leaving_ = false;
  Owned<platform::Work> work_;
  Owned<platform::Timer> retry_;
  Owned<Watch> watch_;
};

}  // namespace ringside::xenbus
