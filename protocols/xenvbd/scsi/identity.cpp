#include "protocols/xenvbd/scsi/identity.hpp"

#include <algorithm>
#include <cstring>

#include "protocols/xenvbd/scsi/cdb.hpp"
#include "protocols/xenvbd/scsi/inquiry.hpp"

namespace ringside::xenvbd {
namespace {

constexpr size_t kHeader = 4;  ///< of a page, and of a designator

constexpr std::byte kAscii{0x02};        ///< CODE SET
constexpr std::byte kT10VendorId{0x01};  ///< of the logical unit; DESIGNATOR TYPE

/// `value` in as many decimal digits as there is room for.
void put_digits(std::span<std::byte> at, uint32_t value) {
  for (size_t i = at.size(); i > 0; --i, value /= 10) at[i - 1] = std::byte('0' + value % 10);
}

int value_of(char letter) {
  if (letter >= 'A' && letter <= 'Z') return letter - 'A';
  if (letter >= 'a' && letter <= 'z') return letter - 'a' + 26;
  if (letter >= '0' && letter <= '9') return letter - '0' + 52;
  if (letter == '+') return 62;
  return letter == '/' ? 63 : -1;
}

bool is_space(char letter) {
  return letter == ' ' || letter == '\n' || letter == '\r' || letter == '\t';
}

/// Whether designators fill `list` to its end.
bool is_designator_list(std::span<const std::byte> list) {
  while (list.size() >= kHeader) {
    const size_t whole = kHeader + static_cast<uint8_t>(list[3]);
    if (whole > list.size()) return false;
    list = list.subspan(whole);
  }
  return list.empty();
}

}  // namespace

Result<size_t> decode_base64(std::string_view text, std::span<std::byte> into) {
  size_t length = 0;
  size_t letters = 0;
  size_t padding = 0;
  uint32_t held = 0;
  for (const char letter : text) {
    if (is_space(letter)) continue;
    ++letters;
    if (letter == '=') {
      ++padding;
      continue;
    }
    const int value = value_of(letter);
    if (value < 0 || padding > 0) return Status::kInvalidArgument;
    held = held << 6 | static_cast<uint32_t>(value);
    if (letters % 4 == 1) continue;  // 6 bits are no byte yet
    if (length == into.size()) return Status::kTooLarge;
    const size_t excess = (4 - letters % 4) * 2 % 8;  // bits of the byte that comes next
    into[length++] = std::byte(held >> excess & 0xff);
  }
  if (letters % 4 != 0 || padding > 2) return Status::kInvalidArgument;
  return size_t{length};
}

void DiskIdentity::Page::set(std::span<const std::byte> from) {
  std::memcpy(bytes.data(), from.data(), from.size());
  length = from.size();
}

DiskIdentity::DiskIdentity(uint32_t target) : target_(target) { set_own_pages(); }

void DiskIdentity::set_own_pages() {
  std::array<std::byte, kHeader + 4> serial{};
  serial[1] = std::byte{kSerialNumberPage};
  serial[3] = std::byte{4};
  put_digits(std::span(serial).subspan<kHeader>(), target_);
  serial_.set(serial);

  std::array<std::byte, 2 * kHeader + 16> named{};
  named[1] = std::byte{kDesignatorsPage};
  named[3] = std::byte{kHeader + 16};
  named[4] = kAscii;
  named[5] = kT10VendorId;
  named[7] = std::byte{16};
  std::memcpy(&named[8], kVendor.data(), kVendor.size());
  put_digits(std::span(named).subspan<16>(), target_);
  designators_.set(named);
}

Status DiskIdentity::read_page(const xenbus::Node& backend, uint8_t code, Page& page) {
  const std::string_view key =
      code == kSerialNumberPage ? "sm-data/scsi/0x12/0x80" : "sm-data/scsi/0x12/0x83";
  const auto text = backend.read(key);
  if (!text) return text.status() == Status::kNotFound ? Status::kOk : text.status();
  std::array<std::byte, kMaxPage> decoded;
  const auto given = decode_base64(text->view(), decoded);
  // SCSI-012: what is not the page that it should be counts as absent.
  if (!given || *given < kHeader || decoded[1] != std::byte{code}) return Status::kOk;
  const auto whole = static_cast<size_t>(kHeader + load_big(std::span(decoded).subspan(2, 2)));
  if (whole > *given) return Status::kOk;
  const auto body = std::span<const std::byte>(decoded).first(whole).subspan(kHeader);
  if (code == kDesignatorsPage && !is_designator_list(body)) return Status::kOk;
  decoded[0] = std::byte{0};  // which device it belongs to is ours to say
  page.set(std::span(decoded).first(whole));
  return Status::kOk;
}

Status DiskIdentity::read(const xenbus::Node& backend) {
  set_own_pages();  // an attempt at another back end may have come to nothing
  const Status status = read_page(backend, kSerialNumberPage, serial_);
  return ok(status) ? read_page(backend, kDesignatorsPage, designators_) : status;
}

}  // namespace ringside::xenvbd
