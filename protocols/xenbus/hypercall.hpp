#pragma once

#include <cstdint>

namespace ringside::xenbus {

/// The way into Xen: the hypercall page in a kernel, the simulated dispatcher on the bench.
class Hypercall {
 public:
  /// `number` is a __HYPERVISOR_* constant of xen.h; pointers are passed as integers.
  /// Returns what Xen returns: >= 0, or -errno with Xen's numbers (xen/errno.h).
  virtual int64_t call(unsigned number, uint64_t a1 = 0, uint64_t a2 = 0, uint64_t a3 = 0,
                       uint64_t a4 = 0, uint64_t a5 = 0) = 0;

 protected:
  ~Hypercall() = default;
};

}  // namespace ringside::xenbus
