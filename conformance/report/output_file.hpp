#pragma once

#include <string>
#include <string_view>

namespace ringside::conformance {

/// Writes `content` beside `path` and renames it there, so that a reader sees the old file
/// or the whole new one. Throws Problem when the place can't be written.
void write_whole(const std::string& path, std::string_view content);

/// Throws the same Problem before the work begins rather than after it.
void require_writable(const std::string& path);

}  // namespace ringside::conformance
