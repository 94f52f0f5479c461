#include "sim/xenstore/local_client.hpp"

#include <cerrno>
#include <utility>

#include "sim/xenstore/request.hpp"
#include "sim/xenstore/server.hpp"
#include "sim/xenstore/wire_errors.hpp"

namespace ringside::sim::xenstore {

LocalClient::LocalClient(Server& server, DomainId domain)
    : server_(server), connection_(server.connect(domain)) {}

LocalClient::~LocalClient() {
  server_.on_output(*connection_, {});
  server_.disconnect(*connection_);
}

int LocalClient::request(xsd_sockmsg_type type, uint32_t transaction, std::string_view payload,
                         std::string& answer) {
  if (payload.size() > XENSTORE_PAYLOAD_MAX) return E2BIG;
  Message message;
  message.header.type = type;
  message.header.tx_id = transaction;
  message.header.len = static_cast<uint32_t>(payload.size());
  message.payload = payload;
  Message reply = server_.exchange(*connection_, message);
  if (reply.header.type == XS_ERROR) return error_number(reply.payload.c_str());
  answer = std::move(reply.payload);
  return 0;
}

std::optional<WatchEvent> LocalClient::next_event() {
  const auto event = server_.take_event(*connection_);
  if (!event) return std::nullopt;
  const auto strings = strings_of(event->payload);
  return WatchEvent{std::string(strings[0]), std::string(strings[1])};
}

void LocalClient::on_event(std::function<void()> wake) {
  server_.on_output(*connection_, std::move(wake));
}

}  // namespace ringside::sim::xenstore
