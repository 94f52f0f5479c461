#include "backends/blkback/vbd_queue.hpp"

#include <sys/mman.h>

#include <utility>

#include "protocols/ring/layout.hpp"

namespace ringside::backends {

std::unique_ptr<VbdQueue> VbdQueue::connect(Handles& handles, const VbdQueueKeys& keys,
                                            const std::string& protocol, const Service& service,
                                            const Blkback::Config& config, std::string& why) {
  std::unique_ptr<VbdQueue> queue(new VbdQueue(handles, service, config));
  if (!queue->map_ring(keys, service.domain)) {
    why = "mapping the ring";
    return nullptr;
  }
  const std::span<std::byte> area(static_cast<std::byte*>(queue->mapped_),
                                  queue->mapped_pages_ * ring::kRingPageSize);
  auto ring = GuestRing::create(protocol, area, config.tap);
  if (!ring) {
    why = ring.status() == Status::kNotSupported ? "unknown protocol " + protocol
                                                 : "the ring's indices can't be";
    return nullptr;
  }
  queue->ring_ = *std::move(ring);
  const int port = xenevtchn_bind_interdomain(handles.events, service.domain, keys.channel);
  if (port < 0) {
    why = "binding event channel " + std::to_string(keys.channel);
    return nullptr;
  }
  queue->port_ = static_cast<evtchn_port_t>(port);
  queue->bound_ = true;
  return queue;
}

VbdQueue::~VbdQueue() {
  if (bound_) xenevtchn_unbind(handles_.events, port_);
  ring_.reset();
  if (mapped_ != nullptr) xengnttab_unmap(handles_.grants, mapped_, mapped_pages_);
}

bool VbdQueue::map_ring(const VbdQueueKeys& keys, uint16_t domain) {
  std::vector<uint32_t> refs = keys.ring_refs;
  const auto count = static_cast<uint32_t>(refs.size());
  mapped_ = xengnttab_map_domain_grant_refs(handles_.grants, count, domain, refs.data(),
                                            PROT_READ | PROT_WRITE);
  mapped_pages_ = count;
  return mapped_ != nullptr;
}

bool VbdQueue::serve() {
  for (;;) {
    bool empty = false;
    while (!empty) {
      if (!serve_batch(empty)) return false;
    }
    if (ring_->arm()) return true;
  }
}

bool VbdQueue::serve_batch(bool& empty) {
  requests_.clear();
  while (!empty && requests_.size() < kBatch) {
    const auto request = ring_->take();
    if (!request) return false;
    if (*request) {
      requests_.push_back(**request);
    } else {
      empty = true;
    }
  }
  std::vector<int16_t> statuses(requests_.size());
  executor_.execute(requests_, statuses);
  std::vector<GuestResponse> responses;
  for (size_t i = 0; i < requests_.size(); ++i) {
    const GuestRequest& request = requests_[i];
    const uint8_t operation = request.indirect ? BLKIF_OP_INDIRECT : request.operation;
    responses.push_back({request.id, operation, statuses[i]});
  }
  if (!responses.empty()) answer(responses);
  return true;
}

void VbdQueue::answer(std::vector<GuestResponse>& responses) {
  if (config_.choose) {
    // BLKIF-IO-013: any order is right.
    for (size_t i = responses.size(); i > 1; --i) {
      std::swap(responses[i - 1], responses[config_.choose(i)]);
    }
  }
  for (const GuestResponse& response : responses) ring_->put(response);
  if (ring_->publish()) xenevtchn_notify(handles_.events, port_);
}

}  // namespace ringside::backends
