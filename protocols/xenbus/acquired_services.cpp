#include "protocols/xenbus/acquired_services.hpp"

#include <utility>

namespace ringside::xenbus {

Result<AcquiredServices> AcquiredServices::acquire(platform::Platform& platform,
                                                   Directory& directory, const Consumer& consumer) {
  AcquiredServices held;
  held.platform_ = &platform;
  auto gnttab = xenbus::acquire<Gnttab>(directory, consumer.gnttab, consumer.name);
  if (!gnttab) return gnttab.status();
  held.gnttab_ = *std::move(gnttab);
  auto events = xenbus::acquire<Events>(directory, consumer.evtchn, consumer.name);
  if (!events) return events.status();
  held.events_ = *std::move(events);
  auto store = xenbus::acquire<Store>(directory, consumer.store, consumer.name);
  if (!store) return store.status();
  held.store_ = *std::move(store);
  auto suspend = xenbus::acquire<Suspend>(directory, consumer.suspend, consumer.name);
  if (!suspend) return suspend.status();
  held.suspend_ = *std::move(suspend);
  return held;
}

}  // namespace ringside::xenbus
