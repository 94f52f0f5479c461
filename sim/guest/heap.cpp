#include "sim/guest/heap.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace ringside::sim {
namespace {

constexpr size_t kAlignment = 64;
constexpr int kFreshPattern = 0xa5;  // not zero, and the same at each run

}  // namespace

Heap::~Heap() {
  for (const auto& [memory, block] : blocks_) std::free(memory);
}

void* Heap::allocate(size_t bytes) {
  if (fails()) return nullptr;
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, std::max(bytes, size_t{1})) != 0) return nullptr;
  std::memset(memory, kFreshPattern, bytes);
  const std::lock_guard lock(mutex_);
  blocks_[memory] = {.serial = requests_.load(), .bytes = bytes};
  return memory;
}

bool Heap::release(void* memory) {
  {
    const std::lock_guard lock(mutex_);
    if (blocks_.erase(memory) == 0) return false;
  }
  std::free(memory);
  return true;
}

bool Heap::fails() {
  const bool counted_out = requests_.fetch_add(1) + 1 == failing_request_.load();
  return counted_out || (judge_ && judge_());
}

void Heap::fail_at(uint64_t n) { failing_request_.store(n == 0 ? 0 : requests_.load() + n); }

void Heap::audit(std::vector<std::string>& findings) const {
  const std::lock_guard lock(mutex_);
  std::vector<Block> left;
  for (const auto& [memory, block] : blocks_) left.push_back(block);
  std::sort(left.begin(), left.end(),
            [](const Block& a, const Block& b) { return a.serial < b.serial; });
  for (const Block& block : left) {
    findings.push_back("allocation " + std::to_string(block.serial) + " of " +
                       std::to_string(block.bytes) + " bytes was not released");
  }
}

}  // namespace ringside::sim
