#include "protocols/xenvbd/vbd.hpp"

#include <algorithm>

#include "protocols/platform/line.hpp"
#include "protocols/xenvbd/wire.hpp"

namespace ringside::xenvbd {
namespace {

constexpr unsigned kMaxQueues = 8;
constexpr unsigned kDefaultQueues = 2;

/// All that a front end may have said of a connection; what of it is not written again goes.
/// [BLKIF-NEG-010]
constexpr std::array<std::string_view, 4> kWholeKeys{"event-channel", "num-ring-pages",
                                                     "multi-queue-num-queues", "protocol"};
constexpr std::array<std::string_view, 3> kKeyPrefixes{"queue-", "ring-", "feature-"};
constexpr xenbus::TransportKeys kTransportKeys{.whole = kWholeKeys, .prefixes = kKeyPrefixes};

}  // namespace

Result<platform::Box<Vbd>> Vbd::create(const xenbus::Services& services, std::string_view path,
                                       Client& client) {
  if (path.size() > kMaxPath) return Status::kTooLarge;
  auto vbd = platform::Box<Vbd>::create(services.platform, services, path, client);
  if (!vbd) return vbd.status();
  if (Status status = (*vbd)->create_parts(); !ok(status)) return status;
  return vbd;
}

Vbd::Vbd(const xenbus::Services& services, std::string_view path, Client& client)
    : services_(services), client_(client) {
  std::copy(path.begin(), path.end(), path_storage_.begin());
  path_ = {path_storage_.data(), path.size()};
}

Status Vbd::create_parts() {
  platform::Platform& platform = services_.platform;
  const unsigned wanted = platform.setting("FrontendMaxQueues", kDefaultQueues);
  const unsigned count = std::clamp(wanted, 1u, std::min(kMaxQueues, platform.cpu_count()));
  auto queues = platform::Array<platform::Box<Queue>>::create(platform, count);
  if (!queues) return queues.status();
  for (unsigned i = 0; i < count; ++i) {
    auto queue = platform::Box<Queue>::create(platform, services_, i, client_,
                                              static_cast<Queue::Owner&>(*this));
    if (!queue) return queue.status();
    if (Status status = (*queue)->create_parts(); !ok(status)) return status;
    (*queues)[i] = *std::move(queue);
  }
  queues_ = *std::move(queues);
  // XENBUS-004: the nodes go with Initialised; Connected comes when the disk is known.
  const xenbus::DeviceProfile profile{.published = xenbus::DeviceState::kInitialised};
  auto device = xenbus::Device::create(services_, path_, profile, *this);
  if (!device) return device.status();
  device_ = *std::move(device);
  return Status::kOk;
}

Vbd::~Vbd() {
  closing_ = true;
  device_ = platform::Box<xenbus::Device>();  // no driver call comes after this
  release();
}

void Vbd::shut_down() {
  if (!connected_) return close();
  ending_ = Ending::kClose;
  drain_queues();
}

void Vbd::drain_queues() {
  undrained_ = active_.load();
  for (unsigned i = active_; i < queues_.size(); ++i) queues_[i]->refuse();
  for (unsigned i = 0; i < active_; ++i) queues_[i]->drain();
}

void Vbd::queue_drained() {
  if (undrained_.fetch_sub(1) != 1) return;
  switch (ending_.exchange(Ending::kNone)) {
    case Ending::kNone: return;
    case Ending::kEject: return device_->let_go();
    case Ending::kClose: break;
  }
  closing_ = true;
  device_->close();
}

bool Vbd::may_eject() {
  if (!client_.eject_requested()) return false;
  // BLKIF-IO-037: it goes when the last queue is drained.
  ending_ = Ending::kEject;
  drain_queues();
  return false;
}

void Vbd::close() {
  closing_ = true;
  ending_ = Ending::kNone;
  for (platform::Box<Queue>& queue : queues_) queue->refuse();
  for (size_t i = queues_.size(); i > 0; --i) queues_[i - 1]->close_detached();
  device_->close();
}

Status Vbd::reopen() {
  closing_ = false;
  return device_->reopen();
}

Status Vbd::prepare(xenbus::DomainId backend_domain, const xenbus::Node& backend) {
  const xenbus::Node frontend(services_.store, xenbus::kNoTransaction, path_);
  // BLKIF-NEG-025: the field on the ring has 16 bits; longer numbers are cut, as others do.
  xenbus::Fields fields(frontend);
  terms_.handle = static_cast<uint16_t>(fields.number("virtual-device", 0));
  terms_.trusted = fields.flag("trusted", true);  // BLKIF-IO-038
  if (!ok(fields.status())) return fields.status();
  platform::Platform& platform = services_.platform;
  const uint32_t wanted = platform.setting("FrontendMaxRingPageOrder", kMaxRingPageOrder);
  const auto offered = read_ring_page_order(backend);
  if (!offered) return offered.status();
  terms_.ring_page_order = std::min(*offered, wanted);
  terms_.persistent = platform.setting("FrontendPersistentGrants", 1) != 0;
  const auto served = read_max_queues(backend);
  if (!served) return served.status();
  // BLKIF-NEG-007
  const size_t mine = std::min<size_t>(queues_.size(), services_.events.cpus());
  active_ = std::min(*served, static_cast<uint32_t>(mine));
  for (unsigned i = 0; i < active_; ++i) {
    const Status status = queues_[i]->prepare(backend_domain, terms_);
    if (!ok(status)) return status;
  }
  return Status::kOk;
}

Status Vbd::publish(const xenbus::Node& frontend) {
  // XENBUS-017: what an earlier connection said may be of another kind.
  if (Status status = frontend.remove_all(kTransportKeys); !ok(status)) return status;
  Status status = queues_[0]->publish_ring_size(frontend);
  // BLKIF-NEG-006: one queue's nodes are at the top, more are each in their directory.
  if (ok(status) && active_ == 1) status = queues_[0]->publish(frontend);
  if (ok(status) && active_ > 1)
    status = frontend.write_number("multi-queue-num-queues", active_.load());
  for (unsigned i = 0; active_ > 1 && i < active_ && ok(status); ++i) {
    const platform::Line name = platform::Line().text("queue-").number(i);
    status = queues_[i]->publish(frontend.child(name.view()));
  }
  if (ok(status) && terms_.persistent) status = frontend.write_number("feature-persistent", 1);
  if (!ok(status)) return status;
  return frontend.write("protocol", kProtocol);  // BLKIF-NEG-005
}

Status Vbd::connect(const xenbus::Node& backend) {
  const auto disk = read_disk(backend);
  if (!disk) return disk.status();
  if (Status status = client_.disk_found(backend); !ok(status)) return status;
  // CONTROL-006: a part of it may be of the former back end's disk.
  if (device_->stale()) return Status::kCancelled;
  disk_ = *disk;
  for (unsigned i = 0; i < active_; ++i) {
    if (Status status = queues_[i]->start(disk_); !ok(status)) return status;
  }
  for (unsigned i = active_; i < queues_.size(); ++i) queues_[i]->idle(disk_);
  connected_ = true;
  if (ending_ == Ending::kClose) drain_queues();
  client_.disk_changed(disk_);
  return Status::kOk;
}

void Vbd::backend_changed(const xenbus::Node& backend) {
  if (!connected_) return;
  // BLKIF-NEG-028: of a connected disk only the size can change.
  const uint64_t sectors = xenbus::Fields(backend).number("sectors", disk_.sectors);
  if (sectors == disk_.sectors) return;
  disk_.sectors = sectors;
  for (platform::Box<Queue>& queue : queues_) queue->resize(sectors);
  client_.disk_changed(disk_);
}

void Vbd::stop() {
  for (platform::Box<Queue>& queue : queues_) queue->stop();
}

void Vbd::release() {
  for (platform::Box<Queue>& queue : queues_) queue->disconnect();
  // The first one last: it may have been given what another had.
  for (size_t i = closing_ ? queues_.size() : 0; i > 0; --i) queues_[i - 1]->close();
  // An offline device does not come back by itself: there is nothing left to drain.
  if (ending_ == Ending::kEject) ending_ = Ending::kNone;
  if (!connected_.exchange(false)) return;
  client_.disk_lost();
}

void Vbd::queue_failed(Status why) {
  // Who breaks the protocol isn't trusted with the same requests once more.
  closing_ = true;
  ending_ = Ending::kNone;
  device_->fail(why);
}

}  // namespace ringside::xenvbd
