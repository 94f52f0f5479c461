#pragma once

#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/directory.hpp"
#include "protocols/xenbus/interfaces/gnttab.hpp"
#include "protocols/xenbus/interfaces/services.hpp"

namespace ringside::xenbus {

/// A driver as its provider knows it: its name, and the versions it can work with.
struct Consumer {
  const char* name = "";
  VersionRange gnttab;
  VersionRange evtchn;
  VersionRange store;
  VersionRange suspend;
};

/// What a device driver stands on, found at run time and held until this is destroyed.
class AcquiredServices {
 public:
  /// What Directory::acquire() answers for the first interface that is not to be had; all or none
  /// are held.
  static Result<AcquiredServices> acquire(platform::Platform& platform, Directory& directory,
                                          const Consumer& consumer);

  Services services() const {
    return {*platform_, gnttab_->grants, *events_, *store_, suspend_.get()};
  }
  ForeignGrants& foreign() const { return gnttab_->foreign; }

 private:
  platform::Platform* platform_ = nullptr;
  Acquired<Gnttab> gnttab_;
  Acquired<Events> events_;
  Acquired<Store> store_;
  Acquired<Suspend> suspend_;
};

}  // namespace ringside::xenbus
