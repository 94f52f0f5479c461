#include "protocols/xenbus/store_ring.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace ringside::xenbus {

namespace {

uint32_t load(uint32_t& shared) {
  return std::atomic_ref<uint32_t>(shared).load(std::memory_order_acquire);
}

void store(uint32_t& shared, uint32_t value) {
  std::atomic_ref<uint32_t>(shared).store(value, std::memory_order_release);
}

}  // namespace

StoreRing::StoreRing(std::byte* page)
    : page_(reinterpret_cast<xenstore_domain_interface*>(page)),
      // STORE-005: an earlier driver may have used the ring; nothing starts at 0 by right.
      req_prod_(load(page_->req_prod)),
      rsp_cons_(load(page_->rsp_cons)) {}

Result<size_t> StoreRing::write(std::span<const std::byte> bytes) {
  const uint32_t in_flight = req_prod_ - load(page_->req_cons);
  if (in_flight > XENSTORE_RING_SIZE) return Status::kPeerViolation;
  // STORE-008: only what was consumed is overwritten; the rest waits for room.
  const size_t count = std::min<size_t>(bytes.size(), XENSTORE_RING_SIZE - in_flight);
  if (count == 0) return size_t{0};
  const size_t at = MASK_XENSTORE_IDX(req_prod_);
  const size_t until_end = std::min<size_t>(count, XENSTORE_RING_SIZE - at);
  std::memcpy(&page_->req[at], bytes.data(), until_end);
  std::memcpy(&page_->req[0], bytes.data() + until_end, count - until_end);
  req_prod_ += static_cast<uint32_t>(count);
  store(page_->req_prod, req_prod_);  // STORE-007: after the bytes it covers
  return size_t{count};
}

Result<size_t> StoreRing::read(std::span<std::byte> room) {
  const uint32_t in_flight = load(page_->rsp_prod) - rsp_cons_;
  if (in_flight > XENSTORE_RING_SIZE) return Status::kPeerViolation;
  const size_t count = std::min<size_t>(room.size(), in_flight);
  if (count == 0) return size_t{0};
  const size_t at = MASK_XENSTORE_IDX(rsp_cons_);
  const size_t until_end = std::min<size_t>(count, XENSTORE_RING_SIZE - at);
  std::memcpy(room.data(), &page_->rsp[at], until_end);
  std::memcpy(room.data() + until_end, &page_->rsp[0], count - until_end);
  rsp_cons_ += static_cast<uint32_t>(count);
  store(page_->rsp_cons, rsp_cons_);
  return size_t{count};
}

Status StoreRing::health() const {
  // STORE-019: without the feature bit the field may hold anything.
  if ((load(page_->server_features) & XENSTORE_SERVER_FEATURE_ERROR) == 0) return Status::kOk;
  return load(page_->error) == XENSTORE_ERROR_NONE ? Status::kOk : Status::kClosed;
}

bool StoreRing::idle() const {
  return load(page_->req_cons) == req_prod_ && load(page_->rsp_prod) == rsp_cons_;
}

bool StoreRing::can_reconnect() const {
  return (load(page_->server_features) & XENSTORE_SERVER_FEATURE_RECONNECTION) != 0;
}

bool StoreRing::reconnecting() const {
  return can_reconnect() && load(page_->connection) == XENSTORE_RECONNECT;
}

void StoreRing::request_reconnect() { store(page_->connection, XENSTORE_RECONNECT); }

}  // namespace ringside::xenbus
