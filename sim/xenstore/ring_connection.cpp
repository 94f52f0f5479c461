#include "sim/xenstore/ring_connection.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

namespace ringside::sim::xenstore {

namespace {

constexpr unsigned kRequestsPerTurn = 64;
/// XENSTORE_SERVER_FEATURE_WATCHDEPTH, which is younger than the headers. Source: xenstore-ring.txt
constexpr uint32_t kFeatureWatchDepth = 4;

uint32_t load(uint32_t& shared) { return std::atomic_ref(shared).load(std::memory_order_acquire); }

void store(uint32_t& shared, uint32_t value) {
  std::atomic_ref(shared).store(value, std::memory_order_release);
}

/// Bytes from `index` to the end of the ring.
uint32_t contiguous(uint32_t index) { return XENSTORE_RING_SIZE - MASK_XENSTORE_IDX(index); }

}  // namespace

RingConnection::RingConnection(Server& server, DomainId domain, std::byte* page)
    : server_(server),
      page_(reinterpret_cast<xenstore_domain_interface*>(page)),
      connection_(server.connect(domain)),
      requests_consumed_(load(page_->req_cons)),
      responses_produced_(load(page_->rsp_prod)) {
  const uint32_t depth = server.features().watch_depth ? kFeatureWatchDepth : 0;
  store(page_->server_features,
        XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR | depth);
  store(page_->error, XENSTORE_ERROR_NONE);
  store(page_->connection, XENSTORE_CONNECTED);
}

RingConnection::~RingConnection() {
  server_.on_output(*connection_, {});
  server_.disconnect(*connection_);
}

RingConnection::Outcome RingConnection::serve() {
  Outcome outcome;
  if (load(page_->connection) == XENSTORE_RECONNECT) {
    restart();
    outcome.notify = true;
  }
  served_ = 0;
  for (bool moved = true; moved && !ignored_;) {
    moved = receive();
    if (!ignored_ && transmit()) moved = true;
    outcome.notify |= moved || ignored_;
    if (served_ >= kRequestsPerTurn && moved) {
      outcome.more = true;
      break;
    }
  }
  return outcome;
}

void RingConnection::restart() {
  server_.disconnect(*connection_);
  reader_.reset();
  output_.reset();
  requests_consumed_ = responses_produced_ = 0;
  for (uint32_t* index : {&page_->req_cons, &page_->req_prod, &page_->rsp_cons, &page_->rsp_prod}) {
    store(*index, 0);
  }
  ignored_ = false;
  store(page_->error, XENSTORE_ERROR_NONE);
  store(page_->connection, XENSTORE_CONNECTED);
}

void RingConnection::ignore(uint32_t reason) {
  ignored_ = true;
  server_.disconnect(*connection_);
  reader_.reset();
  output_.reset();
  store(page_->error, reason);
}

bool RingConnection::receive() {
  // A domain that leaves its replies unread has its requests wait.
  if (!output_.empty() && server_.pending(*connection_) >= server_.quotas().outstanding) {
    return false;
  }
  const uint32_t produced = load(page_->req_prod);
  if (produced - requests_consumed_ > XENSTORE_RING_SIZE) {
    ignore(XENSTORE_ERROR_RINGIDX);
    return false;
  }
  if (produced == requests_consumed_) return false;
  if (!take_bytes(produced)) {
    ignore(XENSTORE_ERROR_PROTO);
    return false;
  }
  if (const auto request = reader_.take()) {
    server_.handle(*connection_, *request);
    ++served_;
  }
  return true;
}

bool RingConnection::take_bytes(uint32_t produced) {
  std::array<char, XENSTORE_RING_SIZE> copy;
  const size_t count = std::min<size_t>(
      {reader_.wanted(), produced - requests_consumed_, contiguous(requests_consumed_)});
  std::memcpy(copy.data(), page_->req + MASK_XENSTORE_IDX(requests_consumed_), count);
  requests_consumed_ += static_cast<uint32_t>(count);
  store(page_->req_cons, requests_consumed_);
  return reader_.feed(std::string_view(copy.data(), count));
}

bool RingConnection::transmit() {
  if (output_.empty()) {
    const auto message = server_.take(*connection_);
    if (!message) return false;
    output_.put(*message);
  }
  const uint32_t waiting = responses_produced_ - load(page_->rsp_cons);
  if (waiting > XENSTORE_RING_SIZE) {
    ignore(XENSTORE_ERROR_RINGIDX);
    return false;
  }
  const std::string_view bytes = output_.bytes();
  const size_t count = std::min<size_t>(
      {bytes.size(), XENSTORE_RING_SIZE - waiting, contiguous(responses_produced_)});
  if (count == 0) return false;
  std::memcpy(page_->rsp + MASK_XENSTORE_IDX(responses_produced_), bytes.data(), count);
  responses_produced_ += static_cast<uint32_t>(count);
  store(page_->rsp_prod, responses_produced_);
  output_.consume(count);
  return true;
}

}  // namespace ringside::sim::xenstore
