#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace ringside::sim {

/// A guest's kernel heap: every block accounted for, and failures on demand. Thread-safe.
class Heap {
 public:
  ~Heap();

  /// Aligned to 64 bytes and filled with a pattern; nullptr when the n-th call fails.
  void* allocate(size_t bytes);
  /// False when `memory` is not an allocated block.
  bool release(void* memory);

  /// Counts an allocation of any kind; true when it is the one that shall fail.
  bool fails();
  void fail_at(uint64_t n);
  /// Asked at each allocation whether it shall fail. Before the guest allocates anything.
  void fail_if(std::function<bool()> judge) { judge_ = std::move(judge); }
  uint64_t requests() const { return requests_.load(); }
  void audit(std::vector<std::string>& findings) const;

 private:
  struct Block {
    uint64_t serial;  // which request it was: the number to stop at in a debugger
    size_t bytes;
  };

  mutable std::mutex mutex_;
  std::map<void*, Block> blocks_;
  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> failing_request_{0};
  std::function<bool()> judge_;
};

}  // namespace ringside::sim
