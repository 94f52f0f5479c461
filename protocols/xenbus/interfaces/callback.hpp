#pragma once

#include "protocols/xenbus/interfaces/tracked.hpp"

namespace ringside::xenbus {

/// A registered callback. Its destruction takes it out; no call follows. Not from within one.
class Callback : public Tracked {
 public:
  virtual void destroy() = 0;

 protected:
  ~Callback() = default;
};

}  // namespace ringside::xenbus
