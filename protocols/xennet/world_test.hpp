#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "protocols/platform/platform_fuzz.hpp"
#include "protocols/xennet/net_buffer.hpp"
#include "protocols/xennet/port.hpp"
#include "protocols/xenvif/headers.hpp"

namespace ringside::xennet {

using Bytes = std::vector<std::byte>;

/// Two CPUs, memory that can be counted out, and timers that fire when told to.
class TestPlatform final : public FakePlatform {
 public:
  void* allocate(size_t bytes) override {
    if (allocations_left == 0) return nullptr;
    --allocations_left;
    return FakePlatform::allocate(bytes);
  }
  unsigned cpu() override { return on_cpu; }
  unsigned cpu_count() override { return 2; }
  Result<Owned<platform::Timer>> create_timer(Delegate expired, unsigned cpu) override {
    timer_cpus.push_back(cpu);
    return FakePlatform::create_timer(expired, cpu);
  }
  uint32_t setting(std::string_view name, uint32_t fallback) override {
    const auto found = settings.find(std::string(name));
    return found == settings.end() ? fallback : found->second;
  }

  /// Runs every timer that is due, each on its CPU; whether there was one.
  bool fire() {
    bool any = false;
    for (size_t i = 0; i < timers.size(); ++i) {
      if (!timers[i].due) continue;
      any = true;
      const unsigned back = std::exchange(on_cpu, timer_cpus[i]);
      timers[i].fire();
      on_cpu = back;
    }
    return any;
  }

  std::map<std::string, uint32_t> settings;
  std::vector<unsigned> timer_cpus;
  unsigned on_cpu = 0;
  uint64_t allocations_left = ~uint64_t{0};
};

/// A list with the MDLs and bytes of its packets.
struct TestList : NetBufferList {
  /// One more packet of `frame`, in runs of `chunk` bytes; the first has `lead` bytes before it.
  void add(const Bytes& frame, size_t chunk = 4096, uint32_t lead = 0) {
    NetBuffer& buffer = buffers.emplace_back();
    if (buffers.size() == 1) first = &buffer;
    if (buffers.size() > 1) buffers[buffers.size() - 2].next = &buffer;
    buffer.offset = lead;
    buffer.length = static_cast<uint32_t>(frame.size());
    Mdl* last = nullptr;
    for (size_t at = 0; at < frame.size(); at += chunk) {
      const size_t length = std::min(chunk, frame.size() - at);
      const size_t before = at == 0 ? lead : 0;
      Bytes& bytes = storage.emplace_back(before + length);
      std::memcpy(&bytes[before], &frame[at], length);
      const auto start = reinterpret_cast<uintptr_t>(bytes.data());
      std::vector<uintptr_t>& numbers = frames.emplace_back();
      for (uintptr_t page = start / 4096; page <= (start + bytes.size() - 1) / 4096; ++page) {
        numbers.push_back(page);
      }
      Mdl& mdl = mdls.emplace_back();
      mdl.address = bytes.data();
      mdl.length = static_cast<uint32_t>(bytes.size());
      mdl.frames = numbers.data();
      (last == nullptr ? buffer.mdl : last->next) = &mdl;
      last = &mdl;
    }
  }

  std::deque<NetBuffer> buffers;
  std::deque<Mdl> mdls;
  std::deque<Bytes> storage;
  std::deque<std::vector<uintptr_t>> frames;
};

/// The bytes of one packet, as they lie in its fragments.
inline Bytes bytes_of(std::span<const xenvif::Fragment> fragments) {
  Bytes all;
  for (const xenvif::Fragment& one : fragments) {
    all.insert(all.end(), one.address, one.address + one.length);
  }
  return all;
}

/// The bytes of a list's first packet.
inline Bytes bytes_of(const NetBufferList& list) {
  Bytes all;
  const Mdl* mdl = list.first->mdl;
  for (; mdl != nullptr && all.size() < list.first->length; mdl = mdl->next) {
    all.insert(all.end(), mdl->address, mdl->address + mdl->length);
  }
  all.resize(list.first->length);
  return all;
}

/// A directed Ethernet frame that is no IP.
inline Bytes plain_frame(size_t size, unsigned seed = 0) {
  Bytes frame(size);
  for (size_t i = 0; i < size; ++i) frame[i] = static_cast<std::byte>(i * 31 + seed * 7);
  frame[0] = std::byte{0};
  xenvif::write_be16(&frame[12], 0x88b5);
  return frame;
}

/// Goes through every sequence of choices there is, the last one first.
class Choices {
 public:
  /// One of `count` ways to go on.
  size_t choose(size_t count) {
    if (depth_ == taken_.size()) taken_.push_back({0, count});
    return taken_[depth_++].first;
  }
  /// To the next sequence; false after the last.
  bool next() {
    depth_ = 0;
    while (!taken_.empty() && ++taken_.back().first == taken_.back().second) taken_.pop_back();
    return !taken_.empty();
  }

 private:
  std::vector<std::pair<size_t, size_t>> taken_;
  size_t depth_ = 0;
};

}  // namespace ringside::xennet
