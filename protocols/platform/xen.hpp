#pragma once

// Xen's public headers, with the layout that Xen means on every target. This is the one
// place in protocols/ that may ask which target it is built for: on Win64 `long` has 32
// bits, on i386 Windows 64-bit members align at 8; both silently change the shared ABI.

#include <cstdint>

#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#endif

#if defined(_WIN64)
#pragma push_macro("long")
#define long __INT64_TYPE__
#elif defined(_WIN32)
#pragma pack(push, 4)
#endif

#include <xen/xen.h>

#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/io/blkif.h>
#include <xen/io/console.h>
#include <xen/io/netif.h>
#include <xen/io/protocols.h>
#include <xen/io/xenbus.h>
#include <xen/io/xs_wire.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#if defined(_WIN64)
#pragma pop_macro("long")
#elif defined(_WIN32)
#pragma pack(pop)
#endif
