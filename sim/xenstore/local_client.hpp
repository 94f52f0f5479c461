#pragma once

#include <memory>

#include "sim/xenstore/client.hpp"
#include "sim/xenstore/connection.hpp"

namespace ringside::sim::xenstore {

class Server;

/// A client of the store inside the server's process.
class LocalClient final : public Client {
 public:
  LocalClient(Server& server, DomainId domain);
  ~LocalClient() override;
  LocalClient(const LocalClient&) = delete;
  LocalClient& operator=(const LocalClient&) = delete;

  int request(xsd_sockmsg_type type, uint32_t transaction, std::string_view payload,
              std::string& answer) override;
  std::optional<WatchEvent> next_event() override;
  void on_event(std::function<void()> wake) override;

 private:
  Server& server_;
  std::shared_ptr<Connection> connection_;
};

}  // namespace ringside::sim::xenstore
