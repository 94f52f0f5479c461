#include "protocols/xenbus/store_message.hpp"

namespace ringside::xenbus {

size_t StoreMessage::wanted() const {
  return sizeof(header_) + (received_ < sizeof(header_) ? 0 : header_.len);
}

std::span<std::byte> StoreMessage::room() {
  if (received_ < sizeof(header_)) {
    return std::as_writable_bytes(std::span(&header_, 1)).subspan(received_);
  }
  const auto payload = std::as_writable_bytes(std::span(payload_)).first(header_.len);
  return payload.subspan(received_ - sizeof(header_));
}

Status StoreMessage::filled(size_t count) {
  received_ += count;
  // STORE-025: judged as soon as it is known, before a byte of the payload has a place.
  const bool header_known = received_ >= sizeof(header_);
  return header_known && header_.len > payload_.size() ? Status::kPeerViolation : Status::kOk;
}

Status status_of_error(std::string_view name) {
  struct Known {
    std::string_view name;
    Status status;
  };
  static constexpr std::array<Known, 17> kKnown{{
      {"EINVAL", Status::kInvalidArgument},
      {"EACCES", Status::kAccessDenied},
      {"EEXIST", Status::kExists},
      {"EISDIR", Status::kInvalidArgument},
      {"ENOENT", Status::kNotFound},
      {"ENOMEM", Status::kNoMemory},
      {"ENOSPC", Status::kNoResources},
      {"EQUOTA", Status::kNoResources},
      {"EIO", Status::kIoError},
      {"ENOTEMPTY", Status::kExists},
      {"ENOSYS", Status::kNotSupported},
      {"EROFS", Status::kReadOnly},
      {"EBUSY", Status::kBusy},
      {"EAGAIN", Status::kAgain},
      {"EISCONN", Status::kExists},
      {"E2BIG", Status::kTooLarge},
      {"EPERM", Status::kAccessDenied},
  }};
  name = name.substr(0, name.find('\0'));
  for (const Known& known : kKnown) {
    if (known.name == name) return known.status;
  }
  return Status::kIoError;
}

Status check_path(std::string_view path) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '/' || c == '_' || c == '@' || c == '+';
  };
  const bool absolute = path.starts_with('/');
  const size_t longest = absolute ? XENSTORE_ABS_PATH_MAX : XENSTORE_REL_PATH_MAX;
  if (path.empty() || path.size() > longest) return Status::kInvalidArgument;
  if (path.size() > 1 && path.ends_with('/')) return Status::kInvalidArgument;
  if (path.find("//") != std::string_view::npos) return Status::kInvalidArgument;
  for (const char c : path) {
    if (!allowed(c)) return Status::kInvalidArgument;
  }
  return Status::kOk;
}

}  // namespace ringside::xenbus
