#include "conformance/daemons/store_service.hpp"

namespace ringside::conformance {

StoreService::StoreService(sim::xenstore::Server& server)
    : socket_(server, folder_.path() + "/socket"), thread_([this] {
        while (!stop_) socket_.serve_once(-1);
      }) {}

StoreService::~StoreService() {
  stop_ = true;
  socket_.wake();
  thread_.join();
}

}  // namespace ringside::conformance
