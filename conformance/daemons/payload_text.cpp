#include "conformance/daemons/payload_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace ringside::conformance {
namespace {

constexpr size_t kShortestRun = 16;

std::string escaped(char c) {
  if (c == '\0') return "|";
  if (c < ' ' || c > '~' || c == '|' || c == '\\' || c == '{') {
    return fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return std::string(1, c);
}

}  // namespace

std::string bytes_of_text(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '|') {
      bytes.push_back('\0');
    } else if (text[i] == '\\') {
      bytes.push_back(
          static_cast<char>(std::stoi(std::string(text.substr(i + 2, 2)), nullptr, 16)));
      i += 3;
    } else if (text[i] == '{') {
      size_t digits = 0;
      const int count = std::stoi(std::string(text.substr(i + 1)), &digits);
      bytes.append(static_cast<size_t>(count), text.at(i + digits + 2));
      i += digits + 3;
    } else {
      bytes.push_back(text[i]);
    }
  }
  return bytes;
}

std::string text_of_bytes(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size();) {
    const size_t end = std::min(bytes.find_first_not_of(bytes[i], i), bytes.size());
    if (end - i >= kShortestRun) {
      text += fmt::format("{{{}*{}}}", end - i, escaped(bytes[i]));
    } else {
      for (size_t n = i; n < end; ++n) text += escaped(bytes[i]);
    }
    i = end;
  }
  return text;
}

std::string sorted_strings(std::string_view payload) {
  std::vector<std::string> strings;
  for (size_t end; (end = payload.find('\0')) != std::string_view::npos;) {
    strings.emplace_back(payload.substr(0, end + 1));
    payload.remove_prefix(end + 1);
  }
  std::sort(strings.begin(), strings.end());
  std::string all;
  for (const std::string& one : strings) all += one;
  return all.append(payload);
}

}  // namespace ringside::conformance
