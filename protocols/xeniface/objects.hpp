#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/events.hpp"
#include "protocols/xenbus/interfaces/store.hpp"
#include "protocols/xenbus/interfaces/suspend.hpp"

namespace ringside::xeniface {

/// The objects of one kind that belong to one open handle. Its owner's lock guards it.
template <typename T>
class ObjectList {
 public:
  void add(platform::Box<T> object) {
    object->next = std::move(first_);
    first_ = std::move(object);
  }
  template <typename Match>
  T* find(Match match) const {
    for (T* object = first_.get(); object != nullptr; object = object->next.get()) {
      if (match(*object)) return object;
    }
    return nullptr;
  }
  template <typename Do>
  void for_each(Do action) const {
    for (T* object = first_.get(); object != nullptr; object = object->next.get()) action(*object);
  }
  /// Takes the first match out; empty when there is none.
  template <typename Match>
  platform::Box<T> take(Match match) {
    for (platform::Box<T>* link = &first_; *link; link = &(*link)->next) {
      if (!match(**link)) continue;
      platform::Box<T> found = std::move(*link);
      *link = std::move(found->next);
      return found;
    }
    return {};
  }

 private:
  platform::Box<T> first_;
};

/// A watch that sets the caller's event.
struct StoreWatch {
  void fired() { event->signal(); }

  uint32_t context = 0;  ///< what the caller knows it by; never an address
  Owned<platform::Event> event;
  Owned<xenbus::Watch> watch;  ///< behind the event, to be gone before it
  platform::Box<StoreWatch> next;
};

/// An event of the caller's that is set after each resume.
struct SuspendEvent {
  void resumed() { event->signal(); }

  uint32_t context = 0;  ///< what the caller knows it by; never an address
  Owned<platform::Event> event;
  Owned<xenbus::SuspendCallback> callback;  ///< behind the event, to be gone before it
  platform::Box<SuspendEvent> next;
};

/// An event channel that sets the caller's event at each notification while it is unmasked.
///
/// The mask is kept here, not in the shared info page: an event that comes in while the
/// channel opens is then told at the first unmask() in every order of things.
struct Channel {
  void fired() {
    missed.store(true);
    if (!masked.load()) tell();
  }
  void unmask() {
    masked.store(false);
    tell();
  }
  void tell() {
    if (missed.exchange(false)) event->signal();
  }

  std::atomic<bool> masked = false;
  std::atomic<bool> missed = false;
  Owned<platform::Event> event;
  Owned<xenbus::EventChannel> channel;  ///< behind the event, to be gone before it
  platform::Box<Channel> next;
};

}  // namespace ringside::xeniface
