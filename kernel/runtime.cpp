#include <ntddk.h>

// All that C++ without exceptions, RTTI and static objects asks of a runtime, once memory
// comes from the platform. What else the compiler may call is in ntoskrnl (memcpy, memmove,
// memset, memcmp) and libgcc (stack probes, 64-bit division on i386).

/// A call through the vtable of an object under construction or destruction.
extern "C" void __cxa_pure_virtual() { KeBugCheck(0xE2); }  // MANUALLY_INITIATED_CRASH
