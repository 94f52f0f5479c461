#include <algorithm>
#include <array>
#include <cstring>

#include "protocols/platform/line.hpp"
#include "protocols/xenbus/interfaces/tracked.hpp"

namespace ringside::xenbus {

struct Tracked::Entry {
  Roster* roster = nullptr;
  Tracked* object = nullptr;
  Entry* previous = nullptr;
  Entry* next = nullptr;
  std::array<char, Roster::kMaxName> text{};
  size_t length = 0;
  platform::Box<Entry> self;
};

Tracked::~Tracked() {
  if (entry_ != nullptr) entry_->roster->remove(*this);
}

Roster::~Roster() {
  while (first_ != nullptr) remove(*first_->object);
}

Status Roster::start() {
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  return Status::kOk;
}

Status Roster::add(Tracked& object, std::string_view name) {
  auto box = platform::Box<Tracked::Entry>::create(platform_);
  if (!box) return box.status();
  Tracked::Entry& entry = **box;
  entry.self = *std::move(box);
  entry.roster = this;
  entry.object = &object;
  entry.length = std::min(name.size(), kMaxName);
  std::memcpy(entry.text.data(), name.data(), entry.length);
  object.entry_ = &entry;
  const platform::LockGuard guard(*lock_);
  entry.next = first_;
  if (first_ != nullptr) first_->previous = &entry;
  first_ = &entry;
  ++count_;
  return Status::kOk;
}

void Roster::remove(Tracked& object) {
  Tracked::Entry& entry = *object.entry_;
  object.entry_ = nullptr;
  {
    const platform::LockGuard guard(*lock_);
    (entry.previous == nullptr ? first_ : entry.previous->next) = entry.next;
    if (entry.next != nullptr) entry.next->previous = entry.previous;
    --count_;
  }
  const platform::Box<Tracked::Entry> last = std::move(entry.self);
}

uint32_t Roster::count() const {
  const platform::LockGuard guard(*lock_);
  return count_;
}

void Roster::report(std::string_view interface, std::string_view consumer) const {
  const platform::LockGuard guard(*lock_);
  for (const Tracked::Entry* entry = first_; entry != nullptr; entry = entry->next) {
    platform::Line line;
    line.text(interface).text(": ").text(consumer).text(" left behind ");
    line.text({entry->text.data(), entry->length});
    platform_.log(platform::LogLevel::kError, line.view());
  }
}

}  // namespace ringside::xenbus
