#include "protocols/xenvbd/vbd.hpp"

#include <algorithm>

#include "protocols/xenvbd/wire.hpp"

namespace ringside::xenvbd {
namespace {

constexpr unsigned kQueues = 1;

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
  auto queues = platform::Array<platform::Box<Queue>>::create(platform, kQueues);
  if (!queues) return queues.status();
  for (unsigned i = 0; i < kQueues; ++i) {
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

void Vbd::close() {
  closing_ = true;
  for (platform::Box<Queue>& queue : queues_) {
    queue->refuse();
    if (queue->detached()) queue->close();
  }
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
  const auto handle = static_cast<uint16_t>(fields.number("virtual-device", 0));
  if (!ok(fields.status())) return fields.status();
  const uint32_t wanted = services_.platform.setting("FrontendMaxRingPageOrder", kMaxRingPageOrder);
  const auto offered = read_ring_page_order(backend);
  if (!offered) return offered.status();
  const uint32_t order = std::min(*offered, wanted);
  for (platform::Box<Queue>& queue : queues_) {
    const Status status = queue->prepare(backend_domain, order, handle);
    if (!ok(status)) return status;
  }
  return Status::kOk;
}

Status Vbd::publish(const xenbus::Node& frontend) {
  // XENBUS-017: what an earlier connection said may be of another kind.
  if (Status status = frontend.remove_all(kTransportKeys); !ok(status)) return status;
  for (platform::Box<Queue>& queue : queues_) {
    if (Status status = queue->publish(frontend); !ok(status)) return status;
  }
  return frontend.write("protocol", kProtocol);  // BLKIF-NEG-005
}

Status Vbd::connect(const xenbus::Node& backend) {
  const auto disk = read_disk(backend);
  if (!disk) return disk.status();
  if (Status status = client_.disk_found(backend); !ok(status)) return status;
  // CONTROL-006: a part of it may be of the former back end's disk.
  if (device_->stale()) return Status::kCancelled;
  disk_ = *disk;
  for (platform::Box<Queue>& queue : queues_) {
    if (Status status = queue->start(disk_); !ok(status)) return status;
  }
  connected_ = true;
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
  for (platform::Box<Queue>& queue : queues_) {
    if (!queue->detached()) queue->disconnect();
    if (closing_) queue->close();
  }
  if (!connected_) return;
  connected_ = false;
  client_.disk_lost();
}

void Vbd::queue_failed(Status why) {
  // Who breaks the protocol isn't trusted with the same requests once more.
  closing_ = true;
  device_->fail(why);
}

}  // namespace ringside::xenvbd
