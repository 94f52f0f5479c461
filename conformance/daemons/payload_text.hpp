#pragma once

#include <string>
#include <string_view>

namespace ringside::conformance {

/// Bytes of a script's notation: `|` NUL, `\xHH` a byte, `{N*c}` N times c.
std::string bytes_of_text(std::string_view text);
/// The reverse; runs of 16 and more become `{N*c}`.
std::string text_of_bytes(std::string_view bytes);
/// A payload's NUL-terminated strings in order, for lists whose order means nothing.
std::string sorted_strings(std::string_view payload);

}  // namespace ringside::conformance
