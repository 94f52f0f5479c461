#include "protocols/xenbus/store_ring.hpp"

namespace ringside::xenbus {

StoreRing::StoreRing(std::byte* page)
    : page_(reinterpret_cast<xenstore_domain_interface*>(page)),
      // STORE-005: an earlier driver may have used the ring; nothing starts at 0 by right.
      requests_(page_->req, page_->req_prod, page_->req_cons),
      responses_(page_->rsp, page_->rsp_cons, page_->rsp_prod) {}

Status StoreRing::health() const {
  // STORE-019: without the feature bit the field may hold anything.
  if ((load_shared(page_->server_features) & XENSTORE_SERVER_FEATURE_ERROR) == 0)
    return Status::kOk;
  return load_shared(page_->error) == XENSTORE_ERROR_NONE ? Status::kOk : Status::kClosed;
}

bool StoreRing::idle() const { return requests_.level() && responses_.level(); }

bool StoreRing::can_reconnect() const {
  return (load_shared(page_->server_features) & XENSTORE_SERVER_FEATURE_RECONNECTION) != 0;
}

bool StoreRing::reconnecting() const {
  return can_reconnect() && load_shared(page_->connection) == XENSTORE_RECONNECT;
}

void StoreRing::request_reconnect() { store_shared(page_->connection, XENSTORE_RECONNECT); }

}  // namespace ringside::xenbus
