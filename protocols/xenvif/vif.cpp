#include "protocols/xenvif/vif.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "protocols/platform/line.hpp"
#include "protocols/xenvif/hash_control.hpp"

namespace ringside::xenvif {
namespace {

constexpr unsigned kMaxQueues = 8;

/// Reads "xx:xx:xx:xx:xx:xx"; false when that is not what it is.
bool parse_mac(std::string_view text, MacAddress& mac) {
  if (text.size() != 17) return false;
  MacAddress parsed{};
  for (size_t i = 0; i < parsed.size(); ++i) {
    const char* first = text.data() + i * 3;
    const auto [end, error] = std::from_chars(first, first + 2, parsed[i], 16);
    if (error != std::errc{} || end != first + 2) return false;
    if (i + 1 < parsed.size() && *end != ':') return false;
  }
  mac = parsed;
  return true;
}

constexpr std::string_view kRequestMulticast = "request-multicast-control";

// NETIF-RX-028: so goes the deprecated form of GSO that an older driver may have asked for.
constexpr std::array<std::string_view, 4> kWholeKeys{"tx-ring-ref", "rx-ring-ref", "ctrl-ring-ref",
                                                     "multi-queue-num-queues"};
constexpr std::array<std::string_view, 4> kKeyPrefixes{"queue-", "event-channel", "feature-",
                                                       "request-"};
constexpr xenbus::TransportKeys kTransportKeys{.whole = kWholeKeys, .prefixes = kKeyPrefixes};

}  // namespace

Result<platform::Box<Vif>> Vif::create(const xenbus::Services& services, std::string_view path,
                                       Client& client) {
  if (path.size() > kMaxPath) return Status::kTooLarge;
  auto vif = platform::Box<Vif>::create(services.platform, services, path, client);
  if (!vif) return vif.status();
  if (Status status = (*vif)->create_parts(); status != Status::kOk) return status;
  return vif;
}

Vif::Vif(const xenbus::Services& services, std::string_view path, Client& client)
    : services_(services), client_(client), control_(services, *this) {
  std::copy(path.begin(), path.end(), path_storage_.begin());
  path_ = {path_storage_.data(), path.size()};
}

Status Vif::create_parts() {
  platform::Platform& platform = services_.platform;
  const unsigned wanted = platform.setting("FrontendMaxQueues", kMaxQueues);
  const unsigned count = std::clamp(wanted, 1u, std::min(kMaxQueues, platform.cpu_count()));
  auto queues = platform::Array<platform::Box<Queue>>::create(platform, count);
  if (!queues) return queues.status();
  queues_ = *std::move(queues);
  for (unsigned i = 0; i < count; ++i) {
    auto queue = platform::Box<Queue>::create(platform, services_, i, client_,
                                              static_cast<Queue::Owner&>(*this));
    if (!queue) return queue.status();
    queues_[i] = *std::move(queue);
  }
  auto lock = platform.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  if (const Status status = hash_.start(platform); !ok(status)) return status;
  auto work = platform.create_work(Delegate::to<&Vif::configure>(*this), 0);
  if (!work) return work.status();
  configuring_ = *std::move(work);
  // XENBUS-004: a vif is Connected on our side as soon as its nodes are there.
  const xenbus::DeviceProfile profile{.published = xenbus::DeviceState::kConnected};
  auto device = xenbus::Device::create(services_, path_, profile, *this);
  if (!device) return device.status();
  device_ = *std::move(device);
  return Status::kOk;
}

Vif::~Vif() {
  device_ = platform::Box<xenbus::Device>();  // no driver call comes after this
  release();
}

Status Vif::prepare(xenbus::DomainId backend_domain, const xenbus::Node& backend) {
  const xenbus::Node frontend(services_.store, xenbus::kNoTransaction, path_);
  const auto features = read_features(backend);
  if (!features) return features.status();
  const auto settings = read_settings(services_.platform, frontend);
  if (!settings) return settings.status();
  features_ = *features;
  settings_ = *settings;
  if (auto mac = frontend.read("mac"); !mac || !parse_mac(mac->view(), mac_)) {
    services_.platform.log(platform::LogLevel::kError, "vif: no usable mac node");
    return Status::kInvalidArgument;
  }
  const size_t mine = std::min<size_t>(queues_.size(), services_.events.cpus());
  active_ = std::min(features_.max_queues, static_cast<uint32_t>(mine));
  for (unsigned i = 0; i < active_; ++i) {
    const Status status = queues_[i]->prepare(backend_domain, features_, settings_, hash_);
    if (status == Status::kOk) continue;
    const bool scarce = status == Status::kNoMemory || status == Status::kNoResources;
    if (i == 0 || !scarce) return status;
    services_.platform.log(platform::LogLevel::kWarning, "vif: no memory for all queues");
    queues_[i]->release();
    active_ = i;
  }
  return features_.control_ring ? control_.prepare(backend_domain) : Status::kOk;
}

Status Vif::publish(const xenbus::Node& frontend) {
  // XENBUS-017: what an earlier connection said may be of another kind.
  if (Status status = frontend.remove_all(kTransportKeys); status != Status::kOk) return status;
  // NETIF-NEG-004: one queue's nodes are at the top, more are each in their directory.
  Status status = Status::kOk;
  if (active_ == 1) status = queues_[0]->publish(frontend);
  for (unsigned i = 0; active_ > 1 && i < active_ && status == Status::kOk; ++i) {
    const platform::Line name = platform::Line().text("queue-").number(i);
    status = queues_[i]->publish(frontend.child(name.view()));
  }
  if (status == Status::kOk) status = control_.publish(frontend);  // NETIF-CTL-013
  if (status != Status::kOk) return status;
  return publish_features(frontend);
}

Status Vif::publish_features(const xenbus::Node& frontend) const {
  struct Entry {
    std::string_view key;
    uint64_t value;
  };
  const Entry entries[] = {
      {"multi-queue-num-queues", active_},
      {"request-rx-copy", 1},    // NETIF-NEG-010
      {"feature-rx-notify", 1},  // NETIF-NEG-002
      {"feature-sg", 1},
      {"feature-gso-tcpv4", settings_.receive_gso_v4 ? 1u : 0u},
      {"feature-gso-tcpv6", settings_.receive_gso_v6 ? 1u : 0u},
      {"feature-no-csum-offload", 0},  // NETIF-NEG-007
      {"feature-ipv6-csum-offload", 1},
      {kRequestMulticast, features_.multicast && filtering_ ? 1u : 0u},  // NETIF-CTL-011
  };
  for (const Entry& entry : entries) {
    const Status status = frontend.write_number(entry.key, entry.value);
    if (status != Status::kOk) return status;
  }
  return Status::kOk;
}

Status Vif::connect(const xenbus::Node& backend) {
  control_.start();
  hash_told_ = 0;
  grants_told_ = false;
  configuring_->queue();
  // NETIF-NEG-006: the peer sends on whichever of them it likes.
  for (unsigned i = 0; i < active_; ++i) queues_[i]->start();
  backend_changed(backend);
  return Status::kOk;
}

void Vif::backend_changed(const xenbus::Node& backend) {
  // NETIF-NEG-014: a back end without the node has its carrier always up.
  xenbus::Fields fields(backend);
  const bool carrier = fields.flag("carrier", true);
  if (ok(fields.status())) set_link(carrier ? LinkState::kUp : LinkState::kDown);
}

void Vif::stop() {
  control_.stop();
  configuring_->cancel();
  hash_.set_accepted(false);
  for (unsigned i = 0; i < active_; ++i) queues_[i]->stop();
  set_link(LinkState::kDown);
}

void Vif::release() {
  for (platform::Box<Queue>& queue : queues_) {
    if (queue) queue->release();
  }
  control_.release();
  set_link(LinkState::kDown);
}

void Vif::queue_failed(Status why) { device_->fail(why); }

void Vif::control_failed(Status why) { device_->fail(why); }

Status Vif::configure_hash(const HashConfig& config) {
  if (config.key_length > config.key.size() || config.mapping_size > config.mapping.size() ||
      (config.types & ~kAllHashTypes) != 0) {
    return Status::kInvalidArgument;
  }
  hash_.set(config);
  configuring_->queue();
  return Status::kOk;
}

void Vif::configure() {
  if (!control_.running()) return;
  if (!std::exchange(grants_told_, true)) {
    StaticGrants refs;
    for (unsigned i = 0; i < active_; ++i) {
      if (!ok(tell_static_grants(control_, i, queues_[i]->static_grants(refs)))) break;
    }
  }
  while (hash_told_ != hash_.version()) {
    hash_told_ = hash_.version();
    hash_.set_accepted(ok(tell_hash(control_, hash_.get(), active_)));
  }
}

Status Vif::filter_multicast(bool on) {
  filtering_ = on;
  if (device_->state() != xenbus::DeviceState::kConnected || !features_.multicast_dynamic) {
    return Status::kOk;
  }
  const xenbus::Node frontend(services_.store, xenbus::kNoTransaction, path_);
  return frontend.write_number(kRequestMulticast, on ? 1 : 0);
}

void Vif::set_addresses(std::span<const Ipv4Address> v4, std::span<const Ipv6Address> v6) {
  const platform::LockGuard guard(*lock_);
  addresses_.v4_count = std::min(v4.size(), kMaxAddresses);
  addresses_.v6_count = std::min(v6.size(), kMaxAddresses);
  std::copy_n(v4.begin(), addresses_.v4_count, addresses_.v4.begin());
  std::copy_n(v6.begin(), addresses_.v6_count, addresses_.v6.begin());
}

void Vif::queue_started(Queue& queue) {
  if (queue.index() != 0) return;
  // NETIF-CTL-046: after a migration switches look for this guest where it was.
  const platform::LockGuard guard(*lock_);
  for (size_t i = 0; i < addresses_.v4_count; ++i) {
    (void)queue.transmit_own(announce(mac_, addresses_.v4[i]).frame());
  }
  for (size_t i = 0; i < addresses_.v6_count; ++i) {
    (void)queue.transmit_own(announce(mac_, addresses_.v6[i]).frame());
  }
}

void Vif::set_link(LinkState link) {
  if (link == link_) return;
  link_ = link;
  client_.link_changed(link);
}

}  // namespace ringside::xenvif
