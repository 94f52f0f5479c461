#pragma once

#include "protocols/xennet/receiver.hpp"
#include "protocols/xennet/sender.hpp"
#include "protocols/xenvif/queue.hpp"

namespace ringside::xennet {

/// What the miniport has for one queue of the vif.
class Lane final : private Port {
 public:
  Lane(platform::Platform& platform, unsigned cpu, Sender::Owner& sends, Receiver::Owner& receives)
      : sender(platform, cpu, *this, sends), receiver(platform, cpu, *this, receives) {}

  Status create_parts() {
    const Status status = sender.create_parts();
    return status == Status::kOk ? receiver.create_parts() : status;
  }
  void bind(xenvif::Queue& queue) { queue_ = &queue; }

  Sender sender;
  Receiver receiver;

 private:
  Status transmit(const xenvif::TxPacket& packet) override { return queue_->transmit(packet); }
  void flush() override { queue_->flush(); }
  void give_back(const xenvif::RxPacket& packet) override { queue_->give_back(packet); }

  xenvif::Queue* queue_ = nullptr;
};

}  // namespace ringside::xennet
