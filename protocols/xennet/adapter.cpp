#include "protocols/xennet/adapter.hpp"

namespace ringside::xennet {

Result<platform::Box<Adapter>> Adapter::create(const xenbus::Services& services,
                                               std::string_view path, Ndis& ndis) {
  auto adapter = platform::Box<Adapter>::create(services.platform, services, ndis);
  if (!adapter) return adapter.status();
  if (Status status = (*adapter)->create_parts(services, path); status != Status::kOk) {
    return status;
  }
  return adapter;
}

Status Adapter::create_parts(const xenbus::Services& services, std::string_view path) {
  auto vif = xenvif::Vif::create(services, path, *this);
  if (!vif) return vif.status();
  vif_ = *std::move(vif);
  if (Status status = multicast_call_.prepare(platform_, 0); !ok(status)) return status;
  auto lanes = platform::Array<platform::Box<Lane>>::create(platform_, vif_->max_queues());
  if (!lanes) return lanes.status();
  lanes_ = *std::move(lanes);
  for (unsigned i = 0; i < lanes_.size(); ++i) {
    auto one =
        platform::Box<Lane>::create(platform_, platform_, i, static_cast<Sender::Owner&>(*this),
                                    static_cast<Receiver::Owner&>(*this));
    if (!one) return one.status();
    lanes_[i] = *std::move(one);
    if (Status status = lanes_[i]->create_parts(); status != Status::kOk) return status;
    lanes_[i]->bind(vif_->queue(i));
  }
  return Status::kOk;
}

NdisStatus Adapter::initialize(std::string_view network_address) {
  if (vif_->start() != Status::kOk) return NdisStatus::kResources;
  const auto deadline = platform_.now() + kConnectPatience;
  if (platform_.wait_until(vif_->device().connected(), deadline) != Status::kOk) {
    leave();
    return NdisStatus::kAdapterNotReady;
  }
  Configuration configuration = read_configuration(platform_);
  configuration.mac = vif_->mac();
  if (!network_address.empty()) {
    if (const auto address = parse_network_address(network_address)) {
      configuration.mac = *address;
    } else {
      platform_.log(platform::LogLevel::kWarning, "xennet: NetworkAddress is no address");
    }
  }
  oids_.start(configuration);
  state_ = State::kPaused;
  return NdisStatus::kSuccess;
}

void Adapter::restart() {
  state_ = State::kRunning;
  for (platform::Box<Lane>& one : lanes_) one->receiver.open();
  gates_changed();
}

NdisStatus Adapter::pause() {
  state_ = State::kPausing;
  // One more, so that it is not over before all have been asked.
  undrained_ = static_cast<uint32_t>(2 * lanes_.size() + 1);
  gates_changed();
  for (platform::Box<Lane>& one : lanes_) {
    one->sender.drain();
    one->receiver.drain();
  }
  part_drained();
  return NdisStatus::kPending;
}

void Adapter::part_drained() {
  if (--undrained_ > 0) return;
  state_ = State::kPaused;
  ndis_.pause_complete();
}

void Adapter::halt() {
  state_ = State::kHalted;
  gates_changed();
  leave();
}

/// Closes the vif. What a back end that does not answer keeps from closing goes with the vif.
void Adapter::leave() {
  vif_->close();
  (void)platform_.wait_until(vif_->device().closed(), platform_.now() + kClosePatience);
}

void Adapter::send(NetBufferList* chain) {
  const unsigned queues = vif_->queue_count();
  if (queues <= 1) return lanes_[0]->sender.send(chain);
  // XENNET-021: a flow stays on one queue, and so in order.
  while (chain != nullptr) {
    NetBufferList* list = chain;
    chain = chain->next;
    list->next = nullptr;
    lanes_[flow_hash(*list) % queues]->sender.send(list);
  }
}

void Adapter::cancel(uintptr_t cancel_id) {
  for (platform::Box<Lane>& one : lanes_) one->sender.cancel(cancel_id);
}

void Adapter::return_lists(NetBufferList* chain) {
  while (chain != nullptr) {
    NetBufferList& list = *chain;
    chain = chain->next;
    Receiver::of(list).give_back(list);
  }
}

/// XENNET-008: why nothing may be sent, the more lasting reason first.
NdisStatus Adapter::refusal() {
  if (power_ != PowerState::kD0) return NdisStatus::kLowPowerState;
  if (state_ != State::kRunning) return NdisStatus::kPaused;
  return link_up_ ? NdisStatus::kSuccess : NdisStatus::kMediaDisconnected;
}

void Adapter::gates_changed() {
  for (platform::Box<Lane>& one : lanes_) one->sender.gate_changed();
}

void Adapter::transmitted(xenvif::Queue& queue, uint64_t cookie, xenvif::TxStatus status) {
  if (status == xenvif::TxStatus::kPeerHoldsPages) {
    platform_.log(platform::LogLevel::kWarning, "xennet: the back end kept a page of a packet");
  }
  lane(queue).sender.transmitted(cookie, status);
}

void Adapter::room(xenvif::Queue& queue) { lane(queue).sender.room(); }

void Adapter::received(xenvif::Queue& queue, const xenvif::RxPacket& packet) {
  lane(queue).receiver.received(packet);
}

void Adapter::served(xenvif::Queue& queue) {
  lane(queue).sender.served();
  lane(queue).receiver.served();
}

void Adapter::link_changed(xenvif::LinkState link) {
  link_up_ = link == xenvif::LinkState::kUp;
  gates_changed();
  // XENNET-023: but what it was at initialize() NDIS asks for.
  if (state_ == State::kHalted) return;
  const LinkState now = oids_.link_state();
  ndis_.status(NdisStatus::kLinkState, std::as_bytes(std::span(&now, 1)));
}

Statistics Adapter::statistics() {
  Statistics all;
  for (unsigned i = 0; i < lanes_.size(); ++i) {
    Lane& one = *lanes_[i];
    all.sent.add(one.sender.statistics());
    all.received.add(one.receiver.statistics());
    all.queued += one.sender.outstanding();
    for (const uint64_t dropped : vif_->queue(i).receive_statistics().dropped) {
      all.received.errors += dropped;
    }
  }
  return all;
}

void Adapter::configured(const Configuration& configuration) {
  for (platform::Box<Lane>& one : lanes_) one->receiver.configure(configuration);
  // What the protocol above asks for is within what the vif takes.
  (void)vif_->configure_hash(hash_config(configuration.scaling));
  // XENNET-025: what the back end drops need not be dropped here.
  configuration_ = configuration;
  multicast_call_.run(Delegate::to<&Adapter::tell_multicast>(*this));
  (void)vif_->filter_multicast(!configuration.wants_all_multicast());
}

void Adapter::tell_multicast() {
  const std::span list(configuration_.multicast);
  (void)vif_->queue(0).set_multicast(list.first(configuration_.multicast_count));
}

/// Anything below D0 is the same to a vif: it leaves its back end. [XENNET-022]
NdisStatus Adapter::set_power(PowerState state) {
  const bool was_on = power_ == PowerState::kD0;
  const bool on = state == PowerState::kD0;
  if (on && !was_on && vif_->reopen() != Status::kOk) return NdisStatus::kFailure;
  power_ = state;
  gates_changed();
  if (was_on && !on) leave();
  return NdisStatus::kSuccess;
}

}  // namespace ringside::xennet
