// libxenforeignmemory.so.1: can be opened, which is all that QEMU's back ends do with it.
#include "sim/dropin/libs/channel.hpp"

namespace {

/// Stands for a handle: there is nothing to keep.
char opened;

}  // namespace

RINGSIDE_EXPORT void* xenforeignmemory_open(void*, unsigned) { return &opened; }
RINGSIDE_EXPORT int xenforeignmemory_close(void*) { return 0; }
RINGSIDE_UNSUPPORTED_POINTER(xenforeignmemory_map)
RINGSIDE_UNSUPPORTED_POINTER(xenforeignmemory_map2)
RINGSIDE_UNSUPPORTED_POINTER(xenforeignmemory_map_resource)
RINGSIDE_UNSUPPORTED(xenforeignmemory_resource_size)
RINGSIDE_UNSUPPORTED(xenforeignmemory_restrict)
RINGSIDE_UNSUPPORTED(xenforeignmemory_unmap)
RINGSIDE_UNSUPPORTED(xenforeignmemory_unmap_resource)
