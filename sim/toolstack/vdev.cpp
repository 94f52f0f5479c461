#include <charconv>
#include <optional>
#include <stdexcept>
#include <string>

#include "sim/toolstack/xl_devices.hpp"

namespace ringside::sim {
namespace {

struct Place {
  unsigned disk = 0;
  unsigned partition = 0;
};

constexpr unsigned kMaxExtendedDisk = 1u << 20;
constexpr unsigned kMaxExtendedPartition = 256;

/// Takes a decimal number off the front; nothing when there is none.
std::optional<unsigned> take_number(std::string_view& text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

/// "a" to "z", "aa" and on; then the partition's number, if any.
std::optional<Place> lettered(std::string_view text) {
  Place place;
  unsigned disk = 0;  // counted from 1 while letters come
  while (!text.empty() && text.front() >= 'a' && text.front() <= 'z') {
    disk = disk * 26 + static_cast<unsigned>(text.front() - 'a') + 1;
    text.remove_prefix(1);
    if (disk > kMaxExtendedDisk) return std::nullopt;
  }
  if (disk == 0) return std::nullopt;
  place.disk = disk - 1;
  if (text.empty()) return place;
  const auto partition = text.front() == '0' ? std::nullopt : take_number(text);
  if (!partition || !text.empty()) return std::nullopt;
  place.partition = *partition;
  return place;
}

/// "d16", "d16p1".
std::optional<Place> numbered(std::string_view text) {
  Place place;
  text.remove_prefix(1);
  const auto disk = take_number(text);
  if (!disk) return std::nullopt;
  place.disk = *disk;
  if (text.empty()) return place;
  if (text.front() != 'p') return std::nullopt;
  text.remove_prefix(1);
  const auto partition = take_number(text);
  if (!partition || !text.empty()) return std::nullopt;
  place.partition = *partition;
  return place;
}

std::optional<unsigned> xen_number(const std::optional<Place>& place) {
  if (!place) return std::nullopt;
  if (place->disk < 16 && place->partition < 16) {
    return 202u << 8 | place->disk << 4 | place->partition;
  }
  if (place->disk >= kMaxExtendedDisk || place->partition >= kMaxExtendedPartition) {
    return std::nullopt;
  }
  return 1u << 28 | place->disk << 8 | place->partition;
}

std::optional<unsigned> ide_number(const std::optional<Place>& place) {
  if (!place || place->disk > 3 || place->partition > 63) return std::nullopt;
  const unsigned channel = place->disk < 2 ? 3 : 22;
  return channel << 8 | (place->disk % 2) << 6 | place->partition;
}

std::optional<unsigned> scsi_number(const std::optional<Place>& place) {
  if (!place || place->disk > 15 || place->partition > 15) return std::nullopt;
  return 8u << 8 | place->disk << 4 | place->partition;
}

std::optional<unsigned> number_of(std::string_view name) {
  if (name.starts_with("xvd")) return xen_number(lettered(name.substr(3)));
  if (name.starts_with("hd")) return ide_number(lettered(name.substr(2)));
  if (name.starts_with("sd")) return scsi_number(lettered(name.substr(2)));
  if (name.starts_with("d")) return xen_number(numbered(name));
  std::string_view rest = name;
  const auto number = take_number(rest);
  return rest.empty() ? number : std::nullopt;
}

}  // namespace

unsigned vdev_number(std::string_view name) {
  if (const auto number = number_of(name)) return *number;
  throw std::invalid_argument("'" + std::string(name) +
                              "' is no virtual device; use a name such as xvda, hdc or sdb1, or a "
                              "number");
}

}  // namespace ringside::sim
