#pragma once

namespace ringside {

/// A bound member function without ownership or heap: two words, trivially copied.
class Delegate {
 public:
  constexpr Delegate() = default;
  constexpr Delegate(void (*function)(void*), void* context)
      : function_(function), context_(context) {}

  /// Delegate::to<&Type::method>(object)
  template <auto Method, typename T>
  static constexpr Delegate to(T& object) {
    return {[](void* context) { (static_cast<T*>(context)->*Method)(); }, &object};
  }

  constexpr explicit operator bool() const { return function_ != nullptr; }
  void operator()() const { function_(context_); }

 private:
  void (*function_)(void*) = nullptr;
  void* context_ = nullptr;
};

}  // namespace ringside
