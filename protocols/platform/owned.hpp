#pragma once

#include <utility>

namespace ringside {

/// The one owner of an object that knows how to destroy() itself across a seam.
template <typename T>
class [[nodiscard]] Owned {
 public:
  constexpr Owned() = default;
  constexpr explicit Owned(T* object) : object_(object) {}
  Owned(Owned&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    if (this != &other) {
      reset();
      object_ = std::exchange(other.object_, nullptr);
    }
    return *this;
  }
  ~Owned() { reset(); }

  void reset() {
    if (T* object = std::exchange(object_, nullptr)) object->destroy();
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

}  // namespace ringside
