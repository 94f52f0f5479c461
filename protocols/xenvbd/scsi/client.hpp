#pragma once

#include "protocols/xenvbd/client.hpp"
#include "protocols/xenvbd/queue.hpp"
#include "protocols/xenvbd/scsi/unit.hpp"

namespace ringside::xenvbd {

/// A queue of a vbd as what a unit's commands go to.
class QueueMedium final : public Medium {
 public:
  /// `queue` must outlive it and every command given to it.
  explicit QueueMedium(Queue& queue) : queue_(queue) {}
  const Disk& disk() const override { return queue_.disk(); }
  Status submit(Request& request) override { return queue_.submit(request); }

 private:
  Queue& queue_;
};

/// The client of a vbd whose only user is a unit.
class UnitClient : public Client {
 public:
  explicit UnitClient(ScsiUnit& unit) : unit_(unit) {}
  Status disk_found(const xenbus::Node& backend) override { return unit_.identify(backend); }
  void disk_changed(const Disk& disk) override { unit_.disk_changed(disk); }
  void completed(Queue&, Request& request, Status status) override {
    unit_.completed(request, status);
  }
  /// What is under way waits; so do the commands. [BLKIF-IO-031]
  void disk_lost() override {}

 protected:
  ~UnitClient() = default;

 private:
  ScsiUnit& unit_;
};

}  // namespace ringside::xenvbd
