#include "protocols/xenvbd/queue.hpp"

namespace ringside::xenvbd {

void Queue::event() {
  if (!attached_) return;
  poll();
  // EVTCHN-006: of use when there was a response since the last one, whoever took it.
  if (ring_.next_response() == seen_) channel_->found_nothing();
  seen_ = ring_.next_response();
}

void Queue::poll() {
  if (ring_.closed() || pumping_) return;
  // A peer that answers as fast as we ask must not keep this CPU: the timer carries on.
  uint32_t budget = 2 * ring_.size();
  do {
    if (!take_responses(budget)) return;
    pump();
    kick();
    if (budget == 0) {
      timer_->start(services_.platform.now());
      return;
    }
  } while (!ring_.arm());
}

bool Queue::take_responses(uint32_t& budget) {
  for (; budget > 0; --budget) {
    const auto response = ring_.take();
    if (!response) {
      running_ = false;
      // kClosed: a completion closed the queue.
      if (response.status() == Status::kPeerViolation) owner_.queue_failed(response.status());
      return false;
    }
    if (!*response) return true;
    // BLKIF-IO-013: in any order, found by the id alone; the operation field isn't needed.
    const std::optional<uint32_t> index = slots_.find((*response)->id);
    if (!index || !ring_.published(slots_[*index].place)) {
      ++statistics_.bad_responses;  // BLKIF-IO-033
      continue;
    }
    finish(*index, judge(slots_[*index], (*response)->status));
  }
  return true;
}

Status Queue::judge(Slot& slot, int16_t response) {
  if (response == BLKIF_RSP_OKAY) return Status::kOk;
  if (response != BLKIF_RSP_EOPNOTSUPP) return Status::kIoError;
  switch (slot.operation) {
    case BLKIF_OP_FLUSH_DISKCACHE: disk_.flush_cache = false; break;
    case BLKIF_OP_WRITE_BARRIER: disk_.barrier = false; break;
    case BLKIF_OP_DISCARD:
      disk_.discard = {};
      ++statistics_.fallbacks;
      return Status::kNotSupported;
    default: return Status::kIoError;  // BLKIF-IO-014: reads and writes are not optional
  }
  // BLKIF-IO-017: flush, then barrier, then nothing at all.
  ++statistics_.fallbacks;
  slot.request->reissue_ = true;
  return Status::kOk;
}

void Queue::finish(uint32_t index, Status status) {
  Slot& slot = slots_[index];
  slot.status = status;
  if (release_pieces(slot)) return release_slot(index);
  // The peer answered and holds on: the memory isn't the client's again before it lets go.
  ++statistics_.busy_grants;
  ++lingering_;
  slot.state = Slot::State::kLingering;
  timer_->start(services_.platform.now() + platform::kMillisecond);
}

void Queue::release_slot(uint32_t index) {
  Slot& slot = slots_[index];
  Request& request = *slot.request;
  if (slot.indirect != kNoIndex) indirect_.give_back(slot.indirect);
  if (!ok(slot.status) && ok(request.status_)) request.status_ = slot.status;
  slots_.give_back(index);
  --request.in_flight_;
  settle(request);
}

void Queue::release_lingering() {
  for (uint32_t i = 0; i < slots_.size() && lingering_ > 0; ++i) {
    if (slots_[i].state != Slot::State::kLingering || !release_pieces(slots_[i])) continue;
    --lingering_;
    release_slot(i);
  }
  if (lingering_ > 0) timer_->start(services_.platform.now() + platform::kMillisecond);
}

bool Queue::release_pieces(Slot& slot) {
  Request& request = *slot.request;
  const bool fills = slot.operation == BLKIF_OP_READ && ok(slot.status) && !request.reissue_;
  while (slot.first_piece != kNoIndex) {
    const uint16_t index = slot.first_piece;
    Piece& piece = pieces_[index];
    const Status status = piece.kept ? Status::kOk : grants_->revoke(piece.ref);
    if (!ok(status) && piece.bounce == kNoIndex) return false;
    if (piece.bounce != kNoIndex) {
      if (fills) scatter(request.segments, piece.at, bounce_.bytes(piece.bounce, piece.length));
      if (ok(status)) {
        bounce_.give_back(piece.bounce);
      } else {
        grants_->park(piece.ref, bounce_.page(piece.bounce));
        bounce_.lose(piece.bounce);
      }
    }
    slot.first_piece = piece.next;
    pieces_.give_back(index);
  }
  slot.last_piece = kNoIndex;
  return true;
}

void Queue::settle(Request& request) {
  if (request.in_flight_ > 0) return;
  if (request.reissue_) {
    request.rewind();
    if (closed_ && ring_.closed()) return complete(request, Status::kClosed);
    // pump() passes over what is issued and so finds it, ahead of what came later.
    unissued_ = requests_.front();
    if (idle_) hand_on();
    return;
  }
  if (request.issued_ || !ok(request.status_)) complete(request, request.status_);
}

void Queue::take_out(Request& request) {
  if (&request == unissued_) unissued_ = RequestList::after(request);
  requests_.remove(request);
}

void Queue::complete(Request& request, Status status) {
  take_out(request);
  if (&request == &last_) {
    // What was adopted behind the flush is not covered by it.
    drain_ = requests_.front() == nullptr ? Drain::kDone : Drain::kWaiting;
    if (drain_ == Drain::kDone) owner_.queue_drained();
    return;
  }
  ++statistics_.completions;
  client_.completed(*this, request, status);
  flush_if_drained();
}

}  // namespace ringside::xenvbd
