#include "protocols/xenbus/node.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "protocols/platform/line.hpp"

namespace ringside::xenbus {

Result<uint64_t> parse_number(std::string_view text) {
  if (text.ends_with('\0')) text.remove_suffix(1);
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return Status::kInvalidArgument;
  return uint64_t{value};
}

Node::Node(Store& store, Transaction transaction, std::string_view path)
    : store_(&store), transaction_(transaction) {
  if (path.size() > kMaxPath) return;
  std::memcpy(path_.data(), path.data(), path.size());
  length_ = path.size();
}

Node Node::child(std::string_view key) const {
  Node node = *this;
  if (!valid() || length_ + 1 + key.size() > kMaxPath) {
    node.length_ = 0;
    return node;
  }
  node.path_[node.length_++] = '/';
  std::memcpy(&node.path_[node.length_], key.data(), key.size());
  node.length_ += key.size();
  return node;
}

Result<platform::Buffer> Node::read(std::string_view key) const {
  const Node node = child(key);
  if (!node.valid()) return Status::kInvalidArgument;
  return store_->read(transaction_, node.path());
}

Status Node::write(std::string_view key, std::string_view value) const {
  const Node node = child(key);
  if (!node.valid()) return Status::kInvalidArgument;
  return store_->write(transaction_, node.path(), value);
}

Status Node::write_number(std::string_view key, uint64_t value) const {
  return write(key, platform::Line().number(value).view());
}

Status Node::remove(std::string_view key) const {
  const Node node = child(key);
  if (!node.valid()) return Status::kInvalidArgument;
  return store_->remove(transaction_, node.path());
}

Status Node::remove_all(const TransportKeys& keys) const {
  if (!valid()) return Status::kInvalidArgument;
  const auto children = store_->directory(transaction_, path());
  if (!children) return children.status();
  std::string_view rest = children->raw();
  while (!rest.empty()) {
    const std::string_view name = Listing::next(rest);
    const auto begins = [name](std::string_view prefix) { return name.starts_with(prefix); };
    const bool ours = std::ranges::find(keys.whole, name) != keys.whole.end() ||
                      std::ranges::any_of(keys.prefixes, begins);
    const Status status = ours ? remove(name) : Status::kOk;
    if (!ok(status)) return status;
  }
  return Status::kOk;
}

uint64_t Fields::number(std::string_view key, uint64_t fallback) {
  const auto text = node_.read(key);
  if (text) return parse_number(text->view()).value_or(fallback);
  if (text.status() != Status::kNotFound && ok(status_)) status_ = text.status();
  return fallback;
}

uint32_t Fields::number32(std::string_view key, uint32_t fallback) {
  return static_cast<uint32_t>(
      std::min<uint64_t>(number(key, fallback), std::numeric_limits<uint32_t>::max()));
}

bool Fields::flag(std::string_view key, bool fallback) {
  return number(key, fallback ? 1 : 0) != 0;
}

}  // namespace ringside::xenbus
