#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"

namespace ringside::xenbus {

class Roster;

/// An object made through an interface: while it lives it stands in the roster of who made it.
class Tracked {
 public:
  Tracked() = default;
  Tracked(const Tracked&) = delete;
  Tracked& operator=(const Tracked&) = delete;

 protected:
  ~Tracked();

 private:
  friend class Roster;
  struct Entry;
  Entry* entry_ = nullptr;
};

/// The living objects that one consumer made through one interface, by name.
class Roster {
 public:
  static constexpr size_t kMaxName = 64;  ///< a longer name is cut

  explicit Roster(platform::Platform& platform) : platform_(platform) {}
  Roster(const Roster&) = delete;
  Roster& operator=(const Roster&) = delete;
  /// Objects that still live are not told; they know of no roster from then on.
  ~Roster();

  Status start();
  /// kNoMemory. The object has no entry in any roster yet.
  Status add(Tracked& object, std::string_view name);
  uint32_t count() const;
  /// One line in the log for each object.
  void report(std::string_view interface, std::string_view consumer) const;

 private:
  friend class Tracked;
  void remove(Tracked& object);

  platform::Platform& platform_;
  Owned<platform::Lock> lock_;  ///< guards the list
  Tracked::Entry* first_ = nullptr;
  uint32_t count_ = 0;
};

}  // namespace ringside::xenbus
