#include "sim/xenstore/connection.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace ringside::sim::xenstore {

void Connection::send(Message message) {
  if (trace_ != nullptr) {
    const auto payload = std::as_bytes(std::span(message.payload.data(), message.payload.size()));
    const xsd_sockmsg& header = message.header;
    trace_->record(Trace::Kind::kStore, "send", {domain_, header.type, header.req_id, header.tx_id},
                   payload);
  }
  outbox_.push_back(std::move(message));
  if (wake_) wake_();
}

std::optional<Message> Connection::take(Wanted wanted) {
  const auto fits = [&](const Message& message) {
    const bool event = message.header.type == XS_WATCH_EVENT;
    return wanted == Wanted::kAny || event == (wanted == Wanted::kEvent);
  };
  const auto found = std::find_if(outbox_.begin(), outbox_.end(), fits);
  if (found == outbox_.end()) return std::nullopt;
  Message message = std::move(*found);
  outbox_.erase(found);
  return message;
}

uint32_t Connection::next_transaction_id() {
  do {
    ++last_transaction_id_;
  } while (last_transaction_id_ == 0 || transactions_.contains(last_transaction_id_));
  return last_transaction_id_;
}

void Connection::clear() {
  transactions_.clear();
  outbox_.clear();
}

size_t MessageReader::wanted() const {
  if (header_bytes_ < sizeof(xsd_sockmsg)) return sizeof(xsd_sockmsg) - header_bytes_;
  return message_.header.len - message_.payload.size();
}

bool MessageReader::feed(std::string_view bytes) {
  if (header_bytes_ < sizeof(xsd_sockmsg)) {
    std::memcpy(reinterpret_cast<char*>(&message_.header) + header_bytes_, bytes.data(),
                bytes.size());
    header_bytes_ += bytes.size();
    return header_bytes_ < sizeof(xsd_sockmsg) || message_.header.len <= XENSTORE_PAYLOAD_MAX;
  }
  message_.payload.append(bytes);
  return true;
}

std::optional<Message> MessageReader::take() {
  if (wanted() != 0) return std::nullopt;
  Message message = std::move(message_);
  reset();
  return message;
}

void MessageReader::reset() {
  message_ = {};
  header_bytes_ = 0;
}

void OutputStream::put(const Message& message) {
  if (empty()) reset();
  buffer_.append(reinterpret_cast<const char*>(&message.header), sizeof(message.header));
  buffer_.append(message.payload);
}

void OutputStream::consume(size_t count) { sent_ += count; }

void OutputStream::reset() {
  buffer_.clear();
  sent_ = 0;
}

}  // namespace ringside::sim::xenstore
