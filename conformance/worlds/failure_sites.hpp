#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "conformance/rig/driver_guest.hpp"

namespace ringside::conformance {

enum class SiteKind : uint8_t { kAllocation, kGrant, kHypercall, kStore };

std::string_view to_string(SiteKind kind);

/// From where in the drivers something that can fail is asked for: a whole call stack.
struct FailureSite {
  SiteKind kind = SiteKind::kAllocation;
  uint64_t id = 0;  ///< of kind and stack; the same in all runs of one program file
  std::vector<void*> frames;

  /// The stack as addresses in the program file, innermost first, for addr2line.
  std::string to_string() const;
};

/// Knows the guest's allocations, grants, store calls and those hypercalls that take something
/// from Xen by where they come from, and makes the first call of one such place fail.
class FailureSites final : public DriverGuest::Interposer {
 public:
  /// `failing`: which site; nothing only looks on.
  explicit FailureSites(std::optional<uint64_t> failing = {});
  ~FailureSites();

  /// In the order in which they were first met.
  const std::vector<FailureSite>& sites() const { return sites_; }
  /// The call that was to fail came, and failed.
  bool failed() const { return failed_; }

  void enter(sim::Guest& guest) override;
  xenbus::Hypercall& hypercall(xenbus::Hypercall& real) override;
  xenbus::Services services(const xenbus::Services& real) override;

  /// A call of this kind is about to be made; true when it shall fail.
  bool judge(SiteKind kind);

 private:
  class Hypercalls;
  class Grants;
  class Store;

  std::optional<uint64_t> failing_;
  bool failed_ = false;
  std::vector<FailureSite> sites_;
  std::unordered_set<uint64_t> known_;
  std::unique_ptr<Hypercalls> hypercalls_;
  std::vector<std::unique_ptr<Grants>> grants_;  // by driver
  std::vector<std::unique_ptr<Store>> stores_;
};

}  // namespace ringside::conformance
