#include "protocols/xenvbd/scsi/mode.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace ringside::xenvbd {
namespace {

constexpr uint8_t kCachingPage = 0x08;
constexpr uint8_t kExceptionsPage = 0x1c;
constexpr uint8_t kAllPages = 0x3f;
constexpr uint8_t kAllSubpages = 0xff;
constexpr std::array<uint8_t, 2> kPageCodes{kCachingPage, kExceptionsPage};

/// PAGE CONTROL: which values of a page.
enum class Values : uint8_t { kCurrent, kChangeable, kDefault, kSaved };

constexpr size_t kCachingBytes = 20;
constexpr size_t kExceptionsBytes = 12;
constexpr uint8_t kWriteCache = 0x04;  ///< WCE in byte 2 of the caching page
constexpr uint8_t kDisabled = 0x08;    ///< DEXCPT in byte 2 of the other

constexpr uint64_t kWriteProtectBit = 0x80;  ///< in the DEVICE-SPECIFIC PARAMETER
constexpr uint64_t kDpoFuaBit = 0x10;

constexpr size_t kBlockDescriptor = 8;
constexpr uint64_t kMax32 = std::numeric_limits<uint32_t>::max();

bool is_ten(const Cdb& cdb) { return cdb.length() == 10; }

/// A page's values; nothing for a page that there is not.
Reply page_values(uint8_t code, Values values, const ModeState& state) {
  Reply page;
  if (code == kCachingPage) {
    page.grow(kCachingBytes).put(0, code).put(1, kCachingBytes - 2);
    // SCSI-051: a cache that can't be flushed is none that anybody should rely on.
    const bool on = values != Values::kCurrent || !state.write_through;
    if (state.volatile_cache && on) page.put(2, kWriteCache);
  } else if (code == kExceptionsPage) {
    page.grow(kExceptionsBytes).put(0, code).put(1, kExceptionsBytes - 2);
    if (values != Values::kChangeable) page.put(2, kDisabled);
  }
  return page;
}

void put_block_descriptor(const ModeState& state, Reply& reply) {
  const size_t at = reply.size();
  reply.grow(kBlockDescriptor);
  reply.put(at, std::min(state.blocks, kMax32), 4).put(at + 5, state.block_size, 3);
}

/// What MODE SELECT's parameter list says before its pages: the offset of these.
std::optional<Sense> read_header(const Cdb& cdb, std::span<const std::byte> list,
                                 const ModeState& state, size_t& pages) {
  const size_t header = is_ten(cdb) ? 8 : 4;
  if (list.size() < header) return kParameterListLengthError;
  if (is_ten(cdb) && (list[4] & std::byte{1}) != std::byte{0}) return invalid_parameter(4, 0);
  const size_t length_at = is_ten(cdb) ? 6 : 3;
  const uint64_t length = load_big(list.subspan(length_at, header - length_at));
  if (length != 0 && length != kBlockDescriptor) return invalid_parameter(length_at);
  pages = static_cast<size_t>(header + length);
  if (list.size() < pages) return kParameterListLengthError;
  if (length == 0) return std::nullopt;
  // The size of a block is the disk's; the number of them may be left open.
  const uint64_t blocks = load_big(list.subspan(header, 4));
  if (blocks != 0 && blocks != kMax32 && blocks != state.blocks) return invalid_parameter(header);
  const uint64_t size = load_big(list.subspan(header + 5, 3));
  if (size != 0 && size != state.block_size) return invalid_parameter(header + 5);
  return std::nullopt;
}

/// Reads the page at `at` of `list` into `state`, and moves `at` behind it.
std::optional<Sense> read_page(std::span<const std::byte> list, size_t& at, ModeState& state) {
  if (list.size() - at < 2) return kParameterListLengthError;
  const auto code = static_cast<uint8_t>(list[at] & std::byte{0x3f});
  const Reply current = page_values(code, Values::kCurrent, state);
  const bool has_subpage = (list[at] & std::byte{0x40}) != std::byte{0};
  if (current.size() == 0 || has_subpage) return invalid_parameter(at);
  if (list[at + 1] != current.view()[1]) return invalid_parameter(at + 1);
  if (list.size() - at < current.size()) return kParameterListLengthError;
  const Reply changeable = page_values(code, Values::kChangeable, state);
  for (size_t i = 2; i < current.size(); ++i) {
    // SCSI-053: what can't be changed must be as it is.
    const std::byte differs = (list[at + i] ^ current.view()[i]) & ~changeable.view()[i];
    if (differs != std::byte{0}) return invalid_parameter(at + i);
  }
  if (code == kCachingPage && state.volatile_cache) {
    state.write_through = (list[at + 2] & std::byte{kWriteCache}) == std::byte{0};
  }
  at += current.size();
  return std::nullopt;
}

}  // namespace

std::optional<Sense> mode_sense(const Cdb& cdb, const ModeState& state, Reply& reply) {
  const auto values = static_cast<Values>(cdb[2] >> 6);
  const uint8_t wanted = cdb[2] & 0x3f;
  if (values == Values::kSaved) return kSavingNotSupported;
  if (cdb[3] != 0 && !(wanted == kAllPages && cdb[3] == kAllSubpages)) return invalid_cdb(3);
  const bool wants_descriptor = !cdb.bit(1, 3);
  const size_t header = is_ten(cdb) ? 8 : 4;
  reply.grow(header);
  if (wants_descriptor) put_block_descriptor(state, reply);
  const size_t pages = reply.size();
  for (const uint8_t code : kPageCodes) {
    if (wanted == kAllPages || wanted == code) {
      reply.append(page_values(code, values, state).view());
    }
  }
  if (reply.size() == pages) return invalid_cdb(2, 5);
  // SCSI-050, SCSI-052
  const uint64_t device =
      (state.write_protected ? kWriteProtectBit : 0) | (state.volatile_cache ? kDpoFuaBit : 0);
  const size_t length = is_ten(cdb) ? 2 : 1;
  reply.put(0, reply.size() - length, length).put(length + 1, device);
  reply.put(header - length, wants_descriptor ? kBlockDescriptor : 0, length);
  return std::nullopt;
}

std::optional<Sense> mode_select(const Cdb& cdb, std::span<const std::byte> parameters,
                                 ModeState& state) {
  if (!cdb.bit(1, 4)) return invalid_cdb(1, 4);  // PF: pages in the standard's format
  if (cdb.bit(1, 0)) return invalid_cdb(1, 0);   // SP: nothing is saved
  if (parameters.empty()) return std::nullopt;
  size_t at = 0;
  if (const auto wrong = read_header(cdb, parameters, state, at)) return wrong;
  ModeState changed = state;
  while (at < parameters.size()) {
    if (const auto wrong = read_page(parameters, at, changed)) return wrong;
  }
  state = changed;  // SCSI-054: all of it, or none
  return std::nullopt;
}

}  // namespace ringside::xenvbd
