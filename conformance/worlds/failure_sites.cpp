#include "conformance/worlds/failure_sites.hpp"

#include <execinfo.h>
#include <fmt/format.h>

#include <utility>

#include "protocols/platform/xen.hpp"

extern "C" const char __executable_start;
extern "C" const char etext;

namespace ringside::conformance {
namespace {

constexpr int kDeepest = 128;

uintptr_t in_file(const void* address) {
  return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(&__executable_start);
}

uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 29);
}

}  // namespace

std::string_view to_string(SiteKind kind) {
  switch (kind) {
    case SiteKind::kAllocation: return "allocation";
    case SiteKind::kGrant: return "grant";
    case SiteKind::kHypercall: return "hypercall";
    case SiteKind::kStore: return "store";
  }
  return "unknown";
}

std::string FailureSite::to_string() const {
  std::string text(conformance::to_string(kind));
  for (const void* frame : frames) text += fmt::format(" {:#x}", in_file(frame));
  return text;
}

/// Those that take something from Xen can fail; the rest is passed on.
class FailureSites::Hypercalls final : public xenbus::Hypercall {
 public:
  Hypercalls(FailureSites& sites, xenbus::Hypercall& real) : sites_(sites), real_(real) {}

  int64_t call(unsigned number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
               uint64_t a5) override {
    if (takes_something(number, a1) && sites_.judge(SiteKind::kHypercall)) {
      return number == __HYPERVISOR_event_channel_op ? -XEN_ENOSPC : -XEN_ENOMEM;
    }
    return real_.call(number, a1, a2, a3, a4, a5);
  }

 private:
  static bool takes_something(unsigned number, uint64_t command) {
    switch (number) {
      case __HYPERVISOR_event_channel_op:
        return command == EVTCHNOP_alloc_unbound || command == EVTCHNOP_bind_interdomain ||
               command == EVTCHNOP_bind_vcpu || command == EVTCHNOP_bind_virq;
      case __HYPERVISOR_memory_op: return command == XENMEM_add_to_physmap;
      case __HYPERVISOR_grant_table_op: return command == GNTTABOP_query_size;
      default: return false;
    }
  }

  FailureSites& sites_;
  xenbus::Hypercall& real_;
};

/// Grant references run out.
class FailureSites::Grants final : public xenbus::Grants {
 public:
  Grants(FailureSites& sites, xenbus::Grants& real) : sites_(sites), real_(real) {}

  Result<Owned<xenbus::GrantCache>> create_cache(const char* name, uint32_t reserve,
                                                 uint32_t limit) override {
    if (sites_.judge(SiteKind::kGrant)) return Status::kNoResources;
    auto real = real_.create_cache(name, reserve, limit);
    if (!real) return real.status();
    return Owned<xenbus::GrantCache>(new Cache(sites_, *std::move(real)));
  }

 private:
  class Cache final : public xenbus::GrantCache {
   public:
    Cache(FailureSites& sites, Owned<xenbus::GrantCache> real)
        : sites_(sites), real_(std::move(real)) {}

    Result<xenbus::GrantRef> permit(xenbus::DomainId peer, platform::Frame frame,
                                    xenbus::Access access) override {
      if (sites_.judge(SiteKind::kGrant)) return Status::kNoResources;
      return real_->permit(peer, frame, access);
    }
    Status revoke(xenbus::GrantRef ref) override { return real_->revoke(ref); }
    void park(xenbus::GrantRef ref, platform::Page page) override { real_->park(ref, page); }
    void destroy() override { delete this; }

   private:
    FailureSites& sites_;
    Owned<xenbus::GrantCache> real_;
  };

  FailureSites& sites_;
  xenbus::Grants& real_;
};

/// xenstored answers that a quota is used up.
class FailureSites::Store final : public xenbus::Store {
 public:
  using Transaction = xenbus::Transaction;
  static constexpr Status kAnswer = Status::kNoResources;

  Store(FailureSites& sites, xenbus::Store& real) : sites_(sites), real_(real) {}

  Result<platform::Buffer> read(Transaction transaction, std::string_view path) override {
    if (fails()) return kAnswer;
    return real_.read(transaction, path);
  }
  Status write(Transaction transaction, std::string_view path, std::string_view value) override {
    return fails() ? kAnswer : real_.write(transaction, path, value);
  }
  Status make_directory(Transaction transaction, std::string_view path) override {
    return fails() ? kAnswer : real_.make_directory(transaction, path);
  }
  Status remove(Transaction transaction, std::string_view path) override {
    return fails() ? kAnswer : real_.remove(transaction, path);
  }
  Result<xenbus::Listing> directory(Transaction transaction, std::string_view path) override {
    if (fails()) return kAnswer;
    return real_.directory(transaction, path);
  }
  Status set_permissions(Transaction transaction, std::string_view path,
                         std::span<const xenbus::Permission> permissions) override {
    return fails() ? kAnswer : real_.set_permissions(transaction, path, permissions);
  }
  Result<Transaction> begin() override {
    if (fails()) return kAnswer;
    return real_.begin();
  }
  Status commit(Transaction transaction) override {
    if (!fails()) return real_.commit(transaction);
    real_.abort(transaction);
    return kAnswer;
  }
  void abort(Transaction transaction) override { real_.abort(transaction); }
  Result<Owned<xenbus::Watch>> watch(std::string_view path, Delegate changed) override {
    if (fails()) return kAnswer;
    return real_.watch(path, changed);
  }

 private:
  bool fails() { return sites_.judge(SiteKind::kStore); }

  FailureSites& sites_;
  xenbus::Store& real_;
};

FailureSites::FailureSites(std::optional<uint64_t> failing) : failing_(failing) {}
FailureSites::~FailureSites() = default;

void FailureSites::enter(sim::Guest& guest) {
  guest.fail_allocations_if([this] { return judge(SiteKind::kAllocation); });
}

xenbus::Hypercall& FailureSites::hypercall(xenbus::Hypercall& real) {
  hypercalls_ = std::make_unique<Hypercalls>(*this, real);
  return *hypercalls_;
}

xenbus::Services FailureSites::services(const xenbus::Services& real) {
  Grants& grants = *grants_.emplace_back(std::make_unique<Grants>(*this, real.grants));
  Store& store = *stores_.emplace_back(std::make_unique<Store>(*this, real.store));
  return {real.platform, grants, real.events, store, real.suspend};
}

bool FailureSites::judge(SiteKind kind) {
  void* frames[kDeepest];
  // What is below the first frame of the C library differs from run to run.
  int depth = 0;
  for (const int all = backtrace(frames, kDeepest); depth < all; ++depth) {
    if (in_file(frames[depth]) >= in_file(&etext)) break;
  }
  uint64_t id = mix(1, static_cast<uint64_t>(kind));
  for (int i = 0; i < depth; ++i) id = mix(id, in_file(frames[i]));
  if (failing_ == id && !failed_) {
    failed_ = true;
    return true;
  }
  if (known_.insert(id).second) {
    sites_.push_back({kind, id, std::vector<void*>(frames, frames + depth)});
  }
  return false;
}

}  // namespace ringside::conformance
