#include "sim/toolstack/xl_devices.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <stdexcept>
#include <utility>
#include <vector>

namespace ringside::sim {
namespace {

[[noreturn]] void refuse(const std::string& why) { throw std::invalid_argument(why); }

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

struct Item {
  std::string_view key;  ///< empty: a word without '='
  std::string_view value;
};

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Splits at commas; the value of `greedy` is all that is left.
std::vector<Item> items_of(std::string_view text, std::string_view greedy = {}) {
  std::vector<Item> items;
  while (true) {
    const std::string_view rest = trimmed(text);
    if (!greedy.empty() && rest.starts_with(greedy) &&
        rest.substr(greedy.size()).starts_with('=')) {
      items.push_back({greedy, rest.substr(greedy.size() + 1)});
      return items;
    }
    const size_t comma = text.find(',');
    const std::string_view word = trimmed(text.substr(0, comma));
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) {
      items.push_back({{}, word});
    } else {
      items.push_back({trimmed(word.substr(0, equals)), trimmed(word.substr(equals + 1))});
    }
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
  }
}

uint16_t backend_domain(std::string_view name) {
  unsigned domid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), domid);
  if (error == std::errc{} && end == name.data() + name.size() && domid < 0x7ff0) {
    return static_cast<uint16_t>(domid);
  }
  if (name == "Domain-0" || name == "dom0") return 0;
  refuse("no domain " + quoted(name) + " is known for backend=; give its number");
}

std::string checked_mac(std::string_view text) {
  constexpr size_t kLength = 17;
  bool right = text.size() == kLength;
  for (size_t i = 0; right && i < kLength; ++i) {
    const bool colon = i % 3 == 2;
    right = colon ? text[i] == ':' : std::isxdigit(static_cast<unsigned char>(text[i])) != 0;
  }
  if (!right) refuse("mac=" + std::string(text) + " is no address; write it as 00:16:3e:12:34:56");
  std::string mac(text);
  std::ranges::transform(mac, mac.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  const unsigned long first = std::stoul(mac.substr(0, 2), nullptr, 16);
  if ((first & 1) != 0) refuse("mac=" + mac + " is a group's address; its first byte must be even");
  return mac;
}

std::string default_mac(unsigned handle) {
  std::array<char, 18> text{};
  std::snprintf(text.data(), text.size(), "00:16:3e:00:%02x:%02x", (handle + 1) >> 8 & 0xff,
                (handle + 1) & 0xff);
  return text.data();
}

/// What a disk string says, before it is put together.
struct Disk {
  std::string target;
  std::string format;
  std::string vdev;
  std::string access;
  std::string backend_type;
  std::string script;
  uint16_t backend = 0;
  bool cdrom = false;
  bool discard = true;
};

constexpr std::array<std::string_view, 6> kFormats{"raw", "qcow", "qcow2", "vhd", "qed", "empty"};

void set_flag(Disk& disk, std::string_view word) {
  if (word == "cdrom") {
    disk.cdrom = true;
  } else if (word == "discard") {
    disk.discard = true;
  } else if (word == "no-discard") {
    disk.discard = false;
  } else if (word == "direct-io-safe") {
    return;
  } else {
    refuse(quoted(word) + " is one word too many; a disk is target,format,vdev,access");
  }
}

void set_key(Disk& disk, const Item& item) {
  const std::string value(item.value);
  if (item.key == "target") {
    disk.target = value;
  } else if (item.key == "format") {
    disk.format = value;
  } else if (item.key == "vdev") {
    disk.vdev = value;
  } else if (item.key == "access") {
    disk.access = value;
  } else if (item.key == "backendtype") {
    disk.backend_type = value;
  } else if (item.key == "backend") {
    disk.backend = backend_domain(value);
  } else if (item.key == "script") {
    disk.script = value;
  } else if (item.key == "devtype") {
    if (value != "disk" && value != "cdrom")
      refuse("devtype is disk or cdrom, not " + quoted(value));
    disk.cdrom = value == "cdrom";
  } else {
    refuse("a disk has no " + quoted(item.key) + "; see xl-disk-configuration(5) for what it has");
  }
}

/// Old strings begin with how the target is reached, and had no format in second place:
/// "phy:/dev/vg/guest,hda,w".
void take_prefix(Disk& disk) {
  for (const std::string_view prefix :
       {"phy:", "file:", "aio:", "raw:", "qcow2:", "qcow:", "vhd:"}) {
    if (!disk.target.starts_with(prefix)) continue;
    const std::string kind(prefix.substr(0, prefix.size() - 1));
    disk.target.erase(0, prefix.size());
    const bool is_format =
        disk.format.empty() || std::ranges::find(kFormats, disk.format) != kFormats.end();
    if (!is_format) {
      disk.access = disk.vdev;
      disk.vdev = std::exchange(disk.format, {});
    }
    if (kind == "phy") disk.backend_type = "phy";
    if (disk.format.empty() && kind.find('q') != std::string::npos) disk.format = kind;
    if (disk.format.empty() && kind == "vhd") disk.format = kind;
    return;
  }
}

Disk disk_of(std::string_view text) {
  Disk disk;
  std::string* const positions[] = {&disk.target, &disk.format, &disk.vdev, &disk.access};
  size_t position = 0;
  for (const Item& item : items_of(text, "target")) {
    if (!item.key.empty()) {
      set_key(disk, item);
    } else if (position < std::size(positions) && item.value != "cdrom" &&
               item.value != "discard" && item.value != "no-discard") {
      *positions[position++] = std::string(item.value);
    } else if (!item.value.empty()) {
      set_flag(disk, item.value);
    }
  }
  take_prefix(disk);
  // Once the kind stood behind the vdev: "hdc:cdrom".
  if (const size_t colon = disk.vdev.find(':'); colon != std::string::npos) {
    disk.cdrom = disk.vdev.substr(colon + 1) == "cdrom";
    disk.vdev.erase(colon);
  }
  return disk;
}

bool read_only(const Disk& disk) {
  const std::string& access = disk.access;
  if (access.empty()) return disk.cdrom;
  if (access == "r" || access == "ro" || access == "readonly") return true;
  if (access == "w" || access == "rw" || access == "readwrite") return disk.cdrom;
  refuse("access is r or w, not " + quoted(access));
}

}  // namespace

VifConfig parse_vif(std::string_view text, unsigned handle) {
  VifConfig vif;
  vif.handle = handle;
  vif.mac = default_mac(handle);
  vif.type = "vif_ioemu";
  if (trimmed(text).empty()) return vif;
  constexpr std::array<std::string_view, 9> kOthers{
      "ip", "model", "vifname", "rate", "gatewaydev", "accel", "mtu", "trusted", "devid"};
  for (const Item& item : items_of(text)) {
    const std::string value(item.value);
    if (item.key == "mac") {
      vif.mac = checked_mac(value);
    } else if (item.key == "bridge") {
      vif.bridge = value;
    } else if (item.key == "script") {
      vif.script = value.starts_with('/') ? value : "/etc/xen/scripts/" + value;
    } else if (item.key == "backend") {
      vif.backend_domid = backend_domain(value);
    } else if (item.key == "type") {
      if (value != "ioemu" && value != "vif") refuse("type is ioemu or vif, not " + quoted(value));
      vif.type = value == "ioemu" ? "vif_ioemu" : "vif";
    } else if (std::ranges::find(kOthers, item.key) == kOthers.end()) {
      refuse("a vif has no " + quoted(item.key.empty() ? item.value : item.key) +
             "; see xl-network-configuration(5) for what it has");
    }
  }
  return vif;
}

VbdConfig parse_disk(std::string_view text) {
  const Disk disk = disk_of(text);
  if (disk.vdev.empty()) refuse("the disk " + quoted(text) + " has no vdev; add one, such as xvda");
  const std::string format = disk.format.empty() ? "raw" : disk.format;
  if (std::ranges::find(kFormats, format) == kFormats.end()) {
    refuse("format is raw, qcow, qcow2, vhd, qed or empty, not " + quoted(format));
  }
  if (disk.target.empty() && !disk.cdrom) refuse("the disk " + quoted(text) + " has no target");
  const bool device = disk.target.starts_with("/dev/") || !disk.script.empty();
  const std::string back = !disk.backend_type.empty()  ? disk.backend_type
                           : format == "raw" && device ? "phy"
                                                       : "qdisk";
  if (back != "phy" && back != "qdisk") refuse("backendtype is phy or qdisk, not " + quoted(back));
  if (back == "phy" && format != "raw") refuse("backendtype phy is for raw disks only");
  VbdConfig vbd;
  vbd.vdev = vdev_number(disk.vdev);
  vbd.dev = disk.vdev;
  vbd.type = back == "phy" ? "vbd" : "qdisk";
  vbd.params = back == "phy" ? disk.target : (format == "raw" ? "aio" : format) + ":" + disk.target;
  vbd.mode = read_only(disk) ? "r" : "w";
  vbd.device_type = disk.cdrom ? "cdrom" : "disk";
  vbd.backend_domid = disk.backend;
  vbd.discard = disk.discard;
  return vbd;
}

}  // namespace ringside::sim
