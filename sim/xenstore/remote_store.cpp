#include "sim/xenstore/remote_store.hpp"

#include <stdexcept>
#include <utility>

#include "sim/machine/machine.hpp"
#include "sim/xenstore/socket_client.hpp"

namespace ringside::sim {

RemoteStore::RemoteStore(Machine& machine, std::string socket)
    : StoreDaemon(machine), socket_(std::move(socket)), client_(connect(0)) {
  enlist();
}

RemoteStore::~RemoteStore() { delist(); }

int RemoteStore::tell(xsd_sockmsg_type type, std::initializer_list<uint64_t> numbers) {
  std::string payload;
  for (const uint64_t number : numbers) payload += std::to_string(number) + '\0';
  std::string answer;
  return client_->request(type, 0, payload, answer);
}

bool RemoteStore::introduce(Domain& domain) {
  return tell(XS_INTRODUCE, {domain.id(), domain.hvm_param(HVM_PARAM_STORE_PFN),
                             domain.hvm_param(HVM_PARAM_STORE_EVTCHN)}) == 0;
}

void RemoteStore::release(uint16_t domid) { tell(XS_RELEASE, {domid}); }

std::unique_ptr<xenstore::Client> RemoteStore::connect(uint16_t domid) {
  if (domid != 0) throw std::invalid_argument("only dom0's programs come through the socket");
  return std::make_unique<xenstore::SocketClient>(socket_);
}

}  // namespace ringside::sim
