#pragma once

// The libxen headers do not say that their functions have C linkage.
extern "C" {
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>
}
