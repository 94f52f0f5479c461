#pragma once

#include <string_view>

namespace ringside::sim::xenstore {

/// The name by which ERROR replies call an errno value; "EINVAL" for what has none there.
std::string_view error_name(int error);
/// The errno value of such a name; EINVAL when unknown.
int error_number(std::string_view name);

}  // namespace ringside::sim::xenstore
