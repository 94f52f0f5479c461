#include "protocols/xenbus/bus_directory.hpp"

#include <utility>

#include "protocols/platform/line.hpp"
#include "protocols/xenbus/leased.hpp"

namespace ringside::xenbus {

/// One lease, in the list of all.
struct BusDirectory::Link {
  BusDirectory* home;  ///< null once that is no more
  const Offer& offer;
  const char* consumer;
  Link* previous = nullptr;
  Link* next = nullptr;
};

template <typename Leased>
class BusDirectory::LeaseOf final : public Lease {
 public:
  LeaseOf(BusDirectory& directory, const Offer& offer, uint16_t version, const char* consumer)
      : platform_(directory.platform_),
        link_{.home = &directory, .offer = offer, .consumer = consumer},
        version_(version),
        roster_(directory.platform_),
        leased_(directory.bus_, roster_) {}

  Status start(platform::Box<LeaseOf> self) {
    const Status status = roster_.start();
    if (!ok(status)) return status;
    link_.home->enter(link_);
    self_ = std::move(self);
    return Status::kOk;
  }
  void* interface() override {
    return static_cast<typename Leased::Interface*>(leased_.interface());
  }
  uint16_t version() const override { return version_; }
  uint32_t outstanding() const override { return roster_.count() + leased_.open_ends(); }
  void destroy() override {
    roster_.report(link_.offer.identity.name, link_.consumer);
    if (const uint32_t open = leased_.open_ends(); open != 0) {
      platform::Line line;
      line.text(link_.offer.identity.name).text(": ").text(link_.consumer);
      line.text(" left behind open transactions: ").number(open);
      platform_.log(platform::LogLevel::kError, line.view());
    }
    if (link_.home != nullptr) link_.home->leave(link_);
    const platform::Box<LeaseOf> last = std::move(self_);
  }

 private:
  platform::Platform& platform_;
  Link link_;
  uint16_t version_;
  Roster roster_;
  Leased leased_;
  platform::Box<LeaseOf> self_;
};

template <typename Leased>
Result<Owned<Lease>> BusDirectory::lease(BusDirectory& directory, const Offer& offer,
                                         uint16_t version, const char* consumer) {
  auto box = platform::Box<LeaseOf<Leased>>::create(directory.platform_, directory, offer, version,
                                                    consumer);
  if (!box) return box.status();
  LeaseOf<Leased>* made = box->get();
  const Status status = made->start(*std::move(box));
  if (!ok(status)) return status;
  return Owned<Lease>(made);
}

/// The versions are those of the published headers.
std::span<const BusDirectory::Offer> BusDirectory::offers() {
  static constexpr Offer kOffers[] = {
      {Events::kIdentity, {5, 9}, &lease<LeasedEvents>},
      {Gnttab::kIdentity, {2, 4}, &lease<LeasedGnttab>},
      {Store::kIdentity, {2, 2}, &lease<LeasedStore>},
      {Suspend::kIdentity, {1, 1}, &lease<LeasedSuspend>},
      {Caches::kIdentity, {1, 2}, &lease<LeasedCaches>},
      {RangeSets::kIdentity, {1, 1}, &lease<LeasedRangeSets>},
      {SharedInfo::kIdentity, {2, 4}, &lease<LeasedSharedInfo>},
      {Unplug::kIdentity, {1, 3}, &lease<LeasedUnplug>},
      {Balloon::kIdentity, {1, 1}, &lease<LeasedBalloon>},
      {Console::kIdentity, {1, 1}, &lease<LeasedConsole>},
      {Debug::kIdentity, {1, 1}, &lease<LeasedDebug>},
  };
  return kOffers;
}

BusDirectory::~BusDirectory() {
  for (Link* link = first_; link != nullptr; link = link->next) {
    link->home = nullptr;
    platform::Line line;
    line.text(link->offer.identity.name).text(" is still held by ").text(link->consumer);
    platform_.log(platform::LogLevel::kError, line.view());
  }
}

Status BusDirectory::start() {
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  return Status::kOk;
}

Result<Owned<Lease>> BusDirectory::acquire(const InterfaceId& id, uint16_t version,
                                           const char* consumer) {
  for (const Offer& offer : offers()) {
    if (offer.identity.id != id) continue;
    if (!offer.versions.contains(version)) return Status::kNotSupported;
    return offer.lease(*this, offer, version, consumer);
  }
  return below_ == nullptr ? Status::kNotFound : below_->acquire(id, version, consumer);
}

uint32_t BusDirectory::references(const InterfaceId& id) const {
  const platform::LockGuard guard(*lock_);
  uint32_t count = 0;
  for (const Link* link = first_; link != nullptr; link = link->next) {
    if (link->offer.identity.id == id) ++count;
  }
  return count;
}

void BusDirectory::enter(Link& link) {
  const platform::LockGuard guard(*lock_);
  link.next = first_;
  if (first_ != nullptr) first_->previous = &link;
  first_ = &link;
}

void BusDirectory::leave(Link& link) {
  const platform::LockGuard guard(*lock_);
  (link.previous == nullptr ? first_ : link.previous->next) = link.next;
  if (link.next != nullptr) link.next->previous = link.previous;
}

}  // namespace ringside::xenbus
