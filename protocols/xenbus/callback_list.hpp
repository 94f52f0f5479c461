#pragma once

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/callback.hpp"

namespace ringside::xenbus {

/// Callbacks that run at dispatch level, one after another, in the order they were added. They must
/// be gone before the list.
class CallbackList {
 public:
  explicit CallbackList(platform::Platform& platform) : platform_(platform) {}
  CallbackList(const CallbackList&) = delete;
  CallbackList& operator=(const CallbackList&) = delete;

  Status start();
  Result<Owned<Callback>> add(Delegate call);
  /// Any level. They may neither add nor remove callbacks of this list.
  void run();

 private:
  class Item;

  platform::Platform& platform_;
  Owned<platform::Lock> lock_;  ///< guards the list, and is held while callbacks run
  Item* first_ = nullptr;
};

}  // namespace ringside::xenbus
