#include "protocols/xenvbd/slots.hpp"

namespace ringside::xenvbd {

Status SlotTable::prepare(platform::Platform& platform, uint32_t count) {
  if (slots_.size() >= count) return Status::kOk;
  auto slots = platform::Array<Slot>::create(platform, count);
  if (!slots) return slots.status();
  // Slots in use keep their place: their memory may still be with the peer.
  for (size_t i = 0; i < slots_.size(); ++i) (*slots)[i] = slots_[i];
  const size_t former = slots_.size();
  slots_ = *std::move(slots);
  for (size_t i = count; i > former; --i) give_back(static_cast<uint32_t>(i - 1));
  return Status::kOk;
}

std::optional<uint32_t> SlotTable::take() {
  if (free_ == kNoIndex) return std::nullopt;
  const uint32_t index = free_;
  Slot& slot = slots_[index];
  free_ = slot.next_free;
  const uint64_t generation = slot.generation + 1;
  slot = Slot{};
  slot.generation = generation;
  slot.state = Slot::State::kSent;
  return index;
}

void SlotTable::give_back(uint32_t index) {
  slots_[index].state = Slot::State::kFree;
  slots_[index].request = nullptr;
  slots_[index].next_free = free_;
  free_ = static_cast<uint16_t>(index);
}

std::optional<uint32_t> SlotTable::find(uint64_t id) const {
  // BLKIF-IO-033: an index that is checked, never a pointer that is believed.
  const auto index = static_cast<size_t>(id & ((uint64_t{1} << kIndexBits) - 1));
  if (index >= slots_.size()) return std::nullopt;
  const Slot& slot = slots_[index];
  if (slot.state != Slot::State::kSent || slot.generation != id >> kIndexBits) return std::nullopt;
  return static_cast<uint32_t>(index);
}

Status PiecePool::prepare(platform::Platform& platform, uint32_t count) {
  if (!pieces_.empty()) return Status::kOk;
  auto pieces = platform::Array<Piece>::create(platform, count);
  if (!pieces) return pieces.status();
  pieces_ = *std::move(pieces);
  for (size_t i = count; i > 0; --i) give_back(static_cast<uint16_t>(i - 1));
  return Status::kOk;
}

uint16_t PiecePool::take() {
  const uint16_t index = free_;
  if (index == kNoIndex) return kNoIndex;
  free_ = pieces_[index].next;
  pieces_[index] = Piece{};
  return index;
}

void PiecePool::give_back(uint16_t index) {
  pieces_[index].next = free_;
  free_ = index;
}

}  // namespace ringside::xenvbd
