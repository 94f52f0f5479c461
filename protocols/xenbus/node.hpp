#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocols/xenbus/interfaces/store.hpp"

namespace ringside::xenbus {

/// What a kind of front end writes about a connection, now or in an earlier version.
struct TransportKeys {
  std::span<const std::string_view> whole;     ///< names
  std::span<const std::string_view> prefixes;  ///< beginnings of names, such as "queue-"
};

/// A directory of the store seen inside one transaction.
///
/// Cheap to copy and to make. A path longer than kMaxPath is refused by each operation
/// with kInvalidArgument; no device's keys come near it.
class Node {
 public:
  static constexpr size_t kMaxPath = 256;

  Node(Store& store, Transaction transaction, std::string_view path);

  Result<platform::Buffer> read(std::string_view key) const;
  Status write_number(std::string_view key, uint64_t value) const;
  Status write(std::string_view key, std::string_view value) const;
  Status remove(std::string_view key) const;
  /// Removes every child whose name is one of a front end's transport keys: see TransportKeys.
  Status remove_all(const TransportKeys& keys) const;
  /// This directory's child, for keys such as queue-N/tx-ring-ref.
  Node child(std::string_view key) const;

  std::string_view path() const { return {path_.data(), length_}; }

 private:
  bool valid() const { return length_ != 0; }

  Store* store_;
  Transaction transaction_;
  std::array<char, kMaxPath> path_;
  size_t length_ = 0;  ///< 0: the path did not fit
};

/// Typed reads of one directory, each with what an absent node means.
///
/// A node that may be there and could not be read (no memory, no store) is not absent: its
/// fallback is returned all the same, and status() says why nothing read here is to be relied on.
class Fields {
 public:
  explicit Fields(const Node& node) : node_(node) {}

  /// An unsigned decimal number, or `fallback` when the key is absent or no number.
  uint64_t number(std::string_view key, uint64_t fallback);
  /// The same, cut to 32 bits.
  uint32_t number32(std::string_view key, uint32_t fallback);
  /// A number other than 0, or `fallback` when the key is absent or no number.
  bool flag(std::string_view key, bool fallback);
  /// kOk, or why the first read failed that did.
  Status status() const { return status_; }

 private:
  const Node& node_;
  Status status_ = Status::kOk;
};

/// The whole of `text` as an unsigned decimal number (one NUL at its end is forgiven).
Result<uint64_t> parse_number(std::string_view text);

}  // namespace ringside::xenbus
