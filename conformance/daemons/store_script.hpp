#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conformance/daemons/store_host.hpp"

namespace ringside::conformance {

/// What one line of a script came to.
struct StoreStep {
  std::string section;
  std::string operation;
  /// The reply ("READ value", "ERROR ENOENT", "closed") and the watch events each connection
  /// got because of it, NULs shown as '|'.
  std::string outcome;

  bool operator==(const StoreStep&) const = default;
};

/// Carries a script of store operations out against a host, one line at a time, and looks at
/// all connections after each. Throws Problem with the line's number where it makes no sense.
///
///   == SECTION[, not for DAEMON]   left out where `other`, the daemon compared with, is that one
///   domain N
///   shutdown N NAME | destroy N NAME   and waits until NAME has got an event
///   open NAME [N]             connects by socket, or as domain N by its ring
///   close NAME
///   list NAME PATH            all of a directory by DIRECTORY_PART, as often as it takes
///   repeat FROM TO NAME...    the operation with $i for each number; replies as counts
///   NAME [@TX] TYPE [PAYLOAD] [> TX]
///
/// In payloads `|` is a NUL, `\xHH` any byte, `{N*c}` N times c, `$frameN` and `$portN` are
/// domain N's. TYPE is a name of xs_wire.h without XS_, or a number. Names of children come
/// sorted, transaction ids and generations as words: their values are the daemon's own affair.
std::vector<StoreStep> run_store_script(std::string_view script, StoreHost& host,
                                        const std::string& other);

}  // namespace ringside::conformance
