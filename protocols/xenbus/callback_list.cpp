#include "protocols/xenbus/callback_list.hpp"

#include <utility>

namespace ringside::xenbus {

class CallbackList::Item final : public Callback {
 public:
  Item(CallbackList& list, Delegate call) : list_(list), call_(call) {}

  void enter(platform::Box<Item> self) {
    self_ = std::move(self);
    const platform::LockGuard guard(*list_.lock_);
    Item** end = &list_.first_;
    while (*end != nullptr) end = &(*end)->next_;
    *end = this;
  }
  void destroy() override {
    {
      const platform::LockGuard guard(*list_.lock_);
      Item** at = &list_.first_;
      while (*at != this) at = &(*at)->next_;
      *at = next_;
    }
    const platform::Box<Item> last = std::move(self_);
  }
  void call() const { call_(); }
  const Item* next() const { return next_; }

 private:
  CallbackList& list_;
  Delegate call_;
  Item* next_ = nullptr;
  platform::Box<Item> self_;
};

Status CallbackList::start() {
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  return Status::kOk;
}

Result<Owned<Callback>> CallbackList::add(Delegate call) {
  auto box = platform::Box<Item>::create(platform_, *this, call);
  if (!box) return box.status();
  Item* made = box->get();
  made->enter(*std::move(box));
  return Owned<Callback>(made);
}

void CallbackList::run() {
  const platform::LockGuard guard(*lock_);
  for (const Item* item = first_; item != nullptr; item = item->next()) item->call();
}

}  // namespace ringside::xenbus
