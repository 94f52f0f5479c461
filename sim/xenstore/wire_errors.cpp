// xs_wire.h has its table of errors only where errno's names are known before it.
#include <cerrno>

#include "sim/xenstore/wire_errors.hpp"

#include <xen/io/xs_wire.h>

namespace ringside::sim::xenstore {

std::string_view error_name(int error) {
  for (const auto& known : xsd_errors) {
    if (known.errnum == error) return known.errstring;
  }
  return "EINVAL";
}

int error_number(std::string_view name) {
  for (const auto& known : xsd_errors) {
    if (name == known.errstring) return known.errnum;
  }
  return EINVAL;
}

}  // namespace ringside::sim::xenstore
