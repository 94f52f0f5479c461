#pragma once

#include <cstring>
#include <optional>
#include <span>

#include "protocols/xennet/configuration.hpp"
#include "protocols/xennet/ndis_status.hpp"
#include "protocols/xennet/oid_abi.hpp"

namespace ringside::xennet {

/// One query or set, as NDIS hands it over. The buffer is the caller's and holds anything.
struct OidRequest {
  Oid oid{};
  std::span<std::byte> buffer;
  uint32_t done = 0;    ///< bytes written by a query, or read by a set
  uint32_t needed = 0;  ///< with a buffer too short: how long it has to be [XENNET-018]
};

/// Answers OIDs, one at a time and at passive level, and keeps what they set.
class Oids {
 public:
  /// The adapter, as OIDs see it.
  class Host {
   public:
    virtual Statistics statistics() = 0;
    virtual bool link_is_up() = 0;
    virtual uint16_t mtu() = 0;
    virtual MacAddress permanent_address() = 0;
    virtual NdisStatus set_power(PowerState state) = 0;
    /// From now on this is in force.
    virtual void configured(const Configuration& configuration) = 0;
    virtual void indicate(NdisStatus status, std::span<const std::byte> what) = 0;

   protected:
    ~Host() = default;
  };

  explicit Oids(Host& host) : host_(host) {}
  /// What the administrator set.
  void start(const Configuration& configuration);

  NdisStatus query(OidRequest& request);
  NdisStatus set(OidRequest& request);

  LinkState link_state();
  /// What is done of the offloads at present, or what could be.
  Offload current_offload() const { return describe(effective()); }
  static Offload hardware_offload() { return describe(Offloads{}); }

  static std::span<const Oid> supported();

 private:
  std::optional<uint32_t> number(Oid oid);
  std::optional<uint64_t> counter(Oid oid);
  static std::optional<uint64_t> sent_counter(Oid oid, const Traffic& sent);
  static std::optional<uint64_t> received_counter(Oid oid, const Traffic& received);
  NdisStatus query_structure(OidRequest& request);
  NdisStatus query_power(OidRequest& request);
  NdisStatus query_hash(OidRequest& request);
  StatisticsInfo statistics_info();

  NdisStatus set_filter(OidRequest& request);
  NdisStatus set_lookahead(OidRequest& request);
  NdisStatus set_multicast(OidRequest& request);
  NdisStatus set_link(OidRequest& request);
  NdisStatus set_power(OidRequest& request);
  NdisStatus set_pm(OidRequest& request);

  // oids_offload.cpp
  NdisStatus set_offloads(OidRequest& request);
  NdisStatus set_encapsulation(OidRequest& request);
  NdisStatus set_scaling(OidRequest& request);
  NdisStatus set_hash(OidRequest& request);
  static Offload describe(const Offloads& offloads);
  Offloads effective() const;
  void apply();
  void apply_offloads();

  Host& host_;
  Configuration configuration_;
  Offloads offloads_;  ///< as set; in force is effective()
  bool offload_v4_ = true;
  bool offload_v6_ = true;
  uint32_t lookahead_ = 0;
};

/// Puts `bytes` into the request's buffer, or says how long it has to be. [XENNET-018]
inline NdisStatus answer_bytes(OidRequest& request, std::span<const std::byte> bytes) {
  const auto size = static_cast<uint32_t>(bytes.size());
  if (request.buffer.size() < size) {
    request.needed = size;
    return NdisStatus::kBufferTooShort;
  }
  if (size != 0) std::memcpy(request.buffer.data(), bytes.data(), size);
  request.done = size;
  return NdisStatus::kSuccess;
}

template <typename T>
NdisStatus answer(OidRequest& request, const T& value) {
  return answer_bytes(request, std::as_bytes(std::span(&value, 1)));
}

/// The number that a set brings; nothing when there are not so many bytes.
template <typename T>
std::optional<T> taken(OidRequest& request) {
  if (request.buffer.size() < sizeof(T)) {
    request.needed = sizeof(T);
    return {};
  }
  T value;
  std::memcpy(&value, request.buffer.data(), sizeof(T));
  request.done = sizeof(T);
  return value;
}

/// The structure that a set brings, with zeros where an older revision ends. Its header must
/// name `type` and a size from `minimum` up to the buffer's. kSuccess, or what to answer.
template <typename T>
NdisStatus take_object(OidRequest& request, uint8_t type, size_t minimum, T& object) {
  object = T{};
  if (request.buffer.size() < minimum) {
    request.needed = static_cast<uint32_t>(minimum);
    return NdisStatus::kInvalidLength;
  }
  ObjectHeader header;
  std::memcpy(&header, request.buffer.data(), sizeof(header));
  // XENNET-019: the header is the caller's word, the buffer's length is a fact.
  if (header.size < minimum || header.size > request.buffer.size()) {
    return NdisStatus::kInvalidLength;
  }
  if (header.type != type || header.revision == 0) return NdisStatus::kInvalidParameter;
  std::memcpy(&object, request.buffer.data(), header.size < sizeof(T) ? header.size : sizeof(T));
  request.done = static_cast<uint32_t>(request.buffer.size());
  return NdisStatus::kSuccess;
}

}  // namespace ringside::xennet
