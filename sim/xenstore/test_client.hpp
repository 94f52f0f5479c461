#pragma once

#include <memory>
#include <string>
#include <utility>

#include "sim/xenstore/server.hpp"

namespace ringside::sim::xenstore {

/// A client for tests which speaks in whole messages: raw payloads in, the reply's out.
class TestClient {
 public:
  TestClient(Server& server, DomainId domain)
      : server_(server), connection_(server.connect(domain)) {}
  ~TestClient() { server_.disconnect(*connection_); }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  Message send(uint32_t type, std::string payload, uint32_t transaction = 0) {
    Message request;
    request.header = {type, ++last_id_, transaction, static_cast<uint32_t>(payload.size())};
    request.payload = std::move(payload);
    return server_.exchange(*connection_, request);
  }

  /// The reply's payload, NULs shown as '|'; an error as "!ENOENT".
  std::string ask(uint32_t type, std::string payload, uint32_t transaction = 0) {
    for (char& c : payload) c = c == '|' ? '\0' : c;
    return shown(send(type, std::move(payload), transaction));
  }

  uint32_t begin() { return static_cast<uint32_t>(std::stoul(ask(XS_TRANSACTION_START, "|"))); }

  /// The waiting watch events, "path=token " each.
  std::string events() {
    std::string all;
    while (const auto event = server_.take_event(*connection_)) {
      const size_t end = event->payload.find('\0');
      all += event->payload.substr(0, end) + "=" + (event->payload.c_str() + end + 1) + " ";
    }
    return all;
  }

  uint32_t last_id() const { return last_id_; }
  Connection& connection() { return *connection_; }

 private:
  static std::string shown(const Message& reply) {
    std::string text = reply.payload;
    if (reply.header.type == XS_ERROR) return "!" + std::string(text.c_str());
    for (char& c : text) c = c == '\0' ? '|' : c;
    return text;
  }

  Server& server_;
  std::shared_ptr<Connection> connection_;
  uint32_t last_id_ = 0;
};

}  // namespace ringside::sim::xenstore
