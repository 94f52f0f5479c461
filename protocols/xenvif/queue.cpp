#include "protocols/xenvif/queue.hpp"

#include <utility>

namespace ringside::xenvif {
namespace {

// What one event may cost at most before other work gets its turn (XSA-391). [EVTCHN-004]
constexpr unsigned kBudget = 2 * kRingSlots;
constexpr unsigned kMaxRounds = 4;

// Every slot granted, every staging page, both rings, and pages kept back by a slow peer.
constexpr uint32_t kGrantReserve = 512;
constexpr uint32_t kGrantLimit = 2048;

}  // namespace

Queue::Queue(const xenbus::Services& services, unsigned index, Client& client, Owner& owner)
    : services_(services),
      index_(index),
      client_(client),
      owner_(owner),
      transmitter_(services.platform, *this, client),
      receiver_(services.platform, *this, client) {}

Status Queue::transmit(const TxPacket& packet) {
  if (!running_) return Status::kClosed;
  return transmitter_.transmit(packet);
}

void Queue::flush() {
  if (running_ && transmitter_.publish()) tx_channel_->notify();
}

void Queue::give_back(const RxPacket& packet) {
  if (running_) {
    if (receiver_.give_back(packet)) notify_receiver();
    return;
  }
  const platform::LockGuard guard(*idle_lock_);
  (void)receiver_.give_back(packet);
}

Status Queue::set_multicast(std::span<const MacAddress> addresses) {
  if (!multicast_.set(addresses)) return Status::kTooLarge;
  multicast_told_ = false;
  if (!running_) return Status::kOk;
  tell_multicast();
  flush();
  return Status::kOk;
}

void Queue::tell_multicast() {
  if (multicast_told_ || !filters_multicast_) return;
  while (const auto change = multicast_.next()) {
    // The rest once the ring has room.
    if (!ok(transmitter_.tell_multicast(change->add, change->address))) return;
    multicast_.told(*change);
  }
  multicast_told_ = true;
}

Status Queue::prepare(xenbus::DomainId peer, const BackendFeatures& features,
                      const Settings& settings, const HashSettings& hash) {
  failed_ = false;
  filters_multicast_ = features.multicast;
  seen_tx_ = seen_rx_ = 0;
  if (Status status = create_parts(); status != Status::kOk) return status;
  auto grants = services_.grants.create_cache("vif queue", kGrantReserve, kGrantLimit);
  if (!grants) return grants.status();
  grants_ = *std::move(grants);
  const Connection connection{grants_.get(), peer, features, settings, &hash};
  if (Status status = transmitter_.prepare(connection); status != Status::kOk) return status;
  if (Status status = receiver_.prepare(connection); status != Status::kOk) return status;
  {
    const platform::LockGuard guard(*idle_lock_);
    if (Status status = receiver_.open(); status != Status::kOk) return status;
  }
  return open_channels(peer, features.split_channels);
}

Status Queue::create_parts() {
  platform::Platform& platform = services_.platform;
  if (!timer_) {
    auto timer = platform.create_timer(Delegate::to<&Queue::timer_expired>(*this), index_);
    if (!timer) return timer.status();
    timer_ = *std::move(timer);
  }
  if (!idle_lock_) {
    auto lock = platform.create_lock();
    if (!lock) return lock.status();
    idle_lock_ = *std::move(lock);
  }
  return switch_.prepare(platform, index_);
}

Status Queue::open_channels(xenbus::DomainId peer, bool split) {
  // NETIF-NEG-003, NETIF-CTL-047: two channels if the peer can, else one for both rings.
  const Delegate handler = split ? Delegate::to<&Queue::transmit_event>(*this)
                                 : Delegate::to<&Queue::common_event>(*this);
  auto channel = services_.events.open_unbound(peer, handler, index_);
  if (!channel) return channel.status();
  tx_channel_ = *std::move(channel);
  if (!split) return Status::kOk;
  auto second =
      services_.events.open_unbound(peer, Delegate::to<&Queue::receive_event>(*this), index_);
  if (!second) return second.status();
  rx_channel_ = *std::move(second);
  return Status::kOk;
}

Status Queue::publish(const xenbus::Node& directory) const {
  const bool split = static_cast<bool>(rx_channel_);
  Status status = directory.write_number("tx-ring-ref", transmitter_.ring_ref());
  if (status == Status::kOk) status = directory.write_number("rx-ring-ref", receiver_.ring_ref());
  if (status != Status::kOk) return status;
  if (!split) return directory.write_number("event-channel", tx_channel_->port());
  status = directory.write_number("event-channel-tx", tx_channel_->port());
  if (status != Status::kOk) return status;
  return directory.write_number("event-channel-rx", rx_channel_->port());
}

void Queue::start() {
  to_run_ = true;
  switch_.run(Delegate::to<&Queue::begin>(*this));
}

void Queue::stop() {
  if (std::exchange(to_run_, false)) switch_.run(Delegate::to<&Queue::end>(*this));
}

void Queue::end() { running_ = false; }

void Queue::begin() {
  running_ = true;
  multicast_.forget_told();
  multicast_told_ = false;
  owner_.queue_started(*this);
  tx_channel_->notify();
  notify_receiver();
  serve_both();
}

void Queue::release() {
  stop();
  tx_channel_.reset();
  rx_channel_.reset();
  if (timer_) timer_->cancel();
  transmitter_.release();
  if (idle_lock_) {
    const platform::LockGuard guard(*idle_lock_);
    receiver_.release();
  }
  if (grants_) client_.served(*this);
  grants_.reset();
}

void Queue::transmit_event() {
  serve_transmitter();
  judge(*tx_channel_, transmitter_.next_response(), seen_tx_);
}

void Queue::receive_event() {
  serve_receiver();
  judge(*rx_channel_, receiver_.next_response(), seen_rx_);
}

void Queue::common_event() {
  serve_both();
  judge(*tx_channel_, transmitter_.next_response() + receiver_.next_response(), seen_tx_);
}

/// EVTCHN-006: an event is of use when there was a response since the last one, whoever took it.
void Queue::judge(xenbus::EventChannel& channel, uint32_t responses, uint32_t& seen) {
  if (responses == seen) channel.found_nothing();
  seen = responses;
}

void Queue::serve_transmitter() {
  for (unsigned round = 0; !failed_; ++round) {
    const auto polled = transmitter_.poll(kBudget);
    client_.served(*this);
    if (!polled) return fail(polled.status());
    if (running_) tell_multicast();
    flush();
    if (*polled == Poll::kMore || round == kMaxRounds) return defer(0);
    if (transmitter_.arm()) break;
  }
  if (transmitter_.holding()) defer(platform::kMillisecond);
}

void Queue::serve_receiver() {
  for (unsigned round = 0; !failed_; ++round) {
    const auto polled = receiver_.poll(kBudget);
    client_.served(*this);
    if (!polled) return fail(polled.status());
    // NETIF-RX-043: what was used is posted again before the next look at the ring.
    if (receiver_.refill()) notify_receiver();
    if (*polled == Poll::kMore || round == kMaxRounds) return defer(0);
    if (receiver_.arm()) return;
  }
}

void Queue::serve_both() {
  serve_transmitter();
  serve_receiver();
}

void Queue::timer_expired() {
  if (failed_) return;
  if (transmitter_.holding()) {
    if (Status status = transmitter_.retry_held(); status != Status::kOk) return fail(status);
  }
  serve_both();
}

void Queue::notify_receiver() {
  if (rx_channel_) {
    rx_channel_->notify();
  } else if (tx_channel_) {
    tx_channel_->notify();
  }
}

void Queue::defer(platform::Nanoseconds delay) { timer_->start(services_.platform.now() + delay); }

void Queue::fail(Status why) {
  failed_ = true;
  running_ = false;
  owner_.queue_failed(why);
}

}  // namespace ringside::xenvif
