#pragma once

#include <algorithm>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <utility>

#include "protocols/platform/platform.hpp"

namespace ringside::platform {

/// A fixed number of Ts on the platform's heap, value-initialised. Moves, never copies.
template <typename T>
class Array {
 public:
  constexpr Array() = default;
  static Result<Array> create(Platform& platform, size_t count) {
    if (count > ~size_t{0} / sizeof(T)) return Status::kNoMemory;
    void* memory = platform.allocate(count == 0 ? 1 : count * sizeof(T));
    if (memory == nullptr) return Status::kNoMemory;
    Array array;
    array.platform_ = &platform;
    array.items_ = static_cast<T*>(memory);
    array.count_ = count;
    for (size_t i = 0; i < count; ++i) new (&array.items_[i]) T();
    return array;
  }
  Array(Array&& other) noexcept { swap(other); }
  Array& operator=(Array&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Array() {
    if (platform_ == nullptr) return;
    for (size_t i = count_; i > 0; --i) items_[i - 1].~T();
    platform_->release(items_);
  }

  T& operator[](size_t i) { return items_[i]; }
  const T& operator[](size_t i) const { return items_[i]; }
  T* begin() { return items_; }
  T* end() { return items_ + count_; }
  const T* begin() const { return items_; }
  const T* end() const { return items_ + count_; }
  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  std::span<T> span() { return {items_, count_}; }

 private:
  void swap(Array& other) {
    std::swap(platform_, other.platform_);
    std::swap(items_, other.items_);
    std::swap(count_, other.count_);
  }

  Platform* platform_ = nullptr;
  T* items_ = nullptr;
  size_t count_ = 0;
};

/// Bytes that came from elsewhere (a xenstore value, a listing), on the platform's heap.
class Buffer {
 public:
  constexpr Buffer() = default;
  static Result<Buffer> copy(Platform& platform, std::string_view bytes) {
    auto storage = Array<char>::create(platform, bytes.size());
    if (!storage) return storage.status();
    if (!bytes.empty()) std::memcpy(storage->begin(), bytes.data(), bytes.size());
    Buffer buffer;
    buffer.storage_ = *std::move(storage);
    return buffer;
  }
  std::string_view view() const { return {storage_.begin(), storage_.size()}; }

 private:
  Array<char> storage_;
};

/// One object on the platform's heap.
template <typename T>
class Box {
 public:
  constexpr Box() = default;
  template <typename... Args>
  static Result<Box> create(Platform& platform, Args&&... args) {
    void* memory = platform.allocate(sizeof(T));
    if (memory == nullptr) return Status::kNoMemory;
    Box box;
    box.platform_ = &platform;
    box.object_ = new (memory) T(std::forward<Args>(args)...);
    return box;
  }
  Box(Box&& other) noexcept { swap(other); }
  Box& operator=(Box&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Box() {
    if (object_ == nullptr) return;
    object_->~T();
    platform_->release(object_);
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  void swap(Box& other) {
    std::swap(platform_, other.platform_);
    std::swap(object_, other.object_);
  }

  Platform* platform_ = nullptr;
  T* object_ = nullptr;
};

}  // namespace ringside::platform
