#pragma once

// The public headers as the machine uses them, before libxen asks for an older form of them.
#include "protocols/platform/xen.hpp"

// The libxen headers do not say that their functions have C linkage.
extern "C" {
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>
}
