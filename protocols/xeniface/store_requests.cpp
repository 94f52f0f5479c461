#include <algorithm>

#include "protocols/xeniface/buffers.hpp"
#include "protocols/xeniface/gateway.hpp"
#include "protocols/xeniface/handle.hpp"

namespace ringside::xeniface {

namespace {

using xenbus::kNoTransaction;

constexpr auto kNone = NtStatus::kSuccess;

/// The path that is all of a request's input, or the status to refuse it with. [IFACE-010]
Result<std::string_view> path_alone(const Request& request, NtStatus& refused) {
  refused = kNone;
  if (request.input_length == 0) {
    refused = NtStatus::kInvalidBufferSize;
    return Status::kInvalidArgument;
  }
  const auto path = text_of(request.buffer.first(request.input_length));
  if (path) return std::string_view(*path);
  refused = NtStatus::kInvalidParameter;
  return Status::kInvalidArgument;
}

/// Puts `text` and `nuls` NULs into the output. IFACE-011: without room, the length is told and
/// nothing else; with too little, nothing at all.
Answer answer_with_text(const Request& request, std::string_view text, size_t nuls) {
  const size_t length = text.size() + nuls;
  if (request.output_length == 0) return {NtStatus::kBufferOverflow, length};
  if (request.output_length < length) return {NtStatus::kInvalidParameter};
  const auto out = request.buffer.first(length);
  std::copy_n(reinterpret_cast<const std::byte*>(text.data()), text.size(), out.begin());
  std::fill(out.begin() + static_cast<ptrdiff_t>(text.size()), out.end(), std::byte{0});
  return {NtStatus::kSuccess, length};
}

/// XENIFACE_STORE_PERMISSION to the store's own; false for bits that mean nothing.
bool convert(const StorePermission& from, xenbus::Permission& to) {
  using Mode = xenbus::Permission::Mode;
  constexpr Mode kModes[] = {Mode::kNone, Mode::kRead, Mode::kWrite, Mode::kBoth};
  if (from.mask > (kPermissionRead | kPermissionWrite)) return false;
  to = {from.domain, kModes[from.mask]};
  return true;
}

}  // namespace

Answer Handle::store_read(const Request& request) {
  NtStatus refused;
  const auto path = path_alone(request, refused);
  if (!path) return {refused};
  const auto value = services_.store.read(kNoTransaction, *path);
  if (!value) return {nt_status(value.status())};
  const std::string_view text = value->view();
  return answer_with_text(request, text.substr(0, text.find('\0')), 1);
}

Answer Handle::store_write(const Request& request) {
  if (request.output_length != 0) return {NtStatus::kInvalidBufferSize};
  NtStatus refused;
  const auto path = path_alone(request, refused);
  if (!path) return {refused};
  const auto value =
      text_of(request.buffer.subspan(path->size() + 1, request.input_length - path->size() - 1));
  if (!value) return {NtStatus::kInvalidParameter};
  return {nt_status(services_.store.write(kNoTransaction, *path, *value))};
}

Answer Handle::store_directory(const Request& request) {
  NtStatus refused;
  const auto path = path_alone(request, refused);
  if (!path) return {refused};
  const auto listing = services_.store.directory(kNoTransaction, *path);
  if (!listing) return {nt_status(listing.status())};
  // IFACE-012: each name has its NUL and the list one more; an empty one is two NULs.
  std::string_view names = listing->raw();
  while (names.ends_with('\0')) names.remove_suffix(1);
  return answer_with_text(request, names, 2);
}

Answer Handle::store_remove(const Request& request) {
  if (request.output_length != 0) return {NtStatus::kInvalidBufferSize};
  NtStatus refused;
  const auto path = path_alone(request, refused);
  if (!path) return {refused};
  return {nt_status(services_.store.remove(kNoTransaction, *path))};
}

/// A path that lies in the caller's memory. [IFACE-013]
Result<platform::Buffer> Handle::read_path(UserAddress path, uint32_t length) {
  if (length == 0 || length > kMaxPath) return Status::kInvalidArgument;
  auto bytes = platform::Array<std::byte>::create(services_.platform, length);
  if (!bytes) return bytes.status();
  if (const Status status = caller_.read(path, bytes->span()); !ok(status)) return status;
  const auto text = text_of(bytes->span());
  if (!text) return Status::kInvalidArgument;
  return platform::Buffer::copy(services_.platform, *text);
}

template <typename Pointer>
Answer Handle::store_set_permissions(const Request& request) {
  using In = StoreSetPermissionsIn<Pointer>;
  if (request.input_length < sizeof(In) + sizeof(StorePermission) || request.output_length != 0) {
    return {NtStatus::kInvalidBufferSize};
  }
  const In in = input_of<In>(request);
  if (request.input_length != sizeof(In) + uint64_t{in.count} * sizeof(StorePermission)) {
    return {NtStatus::kInvalidBufferSize};
  }
  if (in.count > kMaxPermissions) return {NtStatus::kInvalidParameter};
  auto permissions = platform::Array<xenbus::Permission>::create(services_.platform, in.count);
  if (!permissions) return {nt_status(permissions.status())};
  for (uint32_t i = 0; i < in.count; ++i) {
    StorePermission one;
    std::memcpy(&one, &request.buffer[sizeof(In) + i * sizeof(one)], sizeof(one));
    if (!convert(one, (*permissions)[i])) return {NtStatus::kInvalidParameter};
  }
  const auto path = read_path(in.path, in.path_length);
  if (!path) return {memory_status(path.status())};
  return {nt_status(
      services_.store.set_permissions(kNoTransaction, path->view(), permissions->span()))};
}

template <typename Pointer>
Answer Handle::store_add_watch(const Request& request) {
  using In = StoreAddWatchIn<Pointer>;
  using Out = OnePointer<Pointer>;
  if (!lengths_are<In>(request, sizeof(Out))) return {NtStatus::kInvalidBufferSize};
  const In in = input_of<In>(request);
  const auto path = read_path(in.path, in.path_length);
  if (!path) return {memory_status(path.status())};
  auto object = platform::Box<StoreWatch>::create(services_.platform);
  if (!object) return {nt_status(object.status())};
  auto event = caller_.open_event(widen(in.event));
  if (!event) return {handle_status(event.status())};
  (*object)->event = *std::move(event);
  const auto context = add_watch(*std::move(object), path->view());
  if (!context) return {nt_status(context.status())};
  return answer_with(request, Out{*context});
}

Result<uint32_t> Handle::add_watch(platform::Box<StoreWatch> object, std::string_view path) {
  auto watch = services_.store.watch(path, Delegate::to<&StoreWatch::fired>(*object));
  if (!watch) return watch.status();
  object->watch = *std::move(watch);
  const platform::LockGuard guard(*lock_);
  if (closing_) return Status::kClosed;
  const uint32_t context = object->context = fresh_context(watches_);
  watches_.add(std::move(object));
  return uint32_t{context};
}

template <typename Pointer>
Answer Handle::store_remove_watch(const Request& request) {
  using In = OnePointer<Pointer>;
  if (!lengths_are<In>(request, 0)) return {NtStatus::kInvalidBufferSize};
  const In in = input_of<In>(request);
  lock_->acquire();
  const platform::Box<StoreWatch> found =
      watches_.take([&](const StoreWatch& one) { return one.context == in.value; });
  lock_->release();
  return {found ? NtStatus::kSuccess : NtStatus::kNotFound};
}

template Answer Handle::store_set_permissions<uint32_t>(const Request&);
template Answer Handle::store_set_permissions<uint64_t>(const Request&);
template Answer Handle::store_add_watch<uint32_t>(const Request&);
template Answer Handle::store_add_watch<uint64_t>(const Request&);
template Answer Handle::store_remove_watch<uint32_t>(const Request&);
template Answer Handle::store_remove_watch<uint64_t>(const Request&);

}  // namespace ringside::xeniface
