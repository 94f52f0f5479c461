#pragma once

#include "protocols/xenbus/interfaces/store.hpp"

namespace ringside::conformance {

/// Hands everything on to another store; a test overrides what it wants to meddle with.
class ForwardingStore : public xenbus::Store {
 public:
  explicit ForwardingStore(xenbus::Store& store) : store_(store) {}

  Result<platform::Buffer> read(xenbus::Transaction transaction, std::string_view path) override {
    return store_.read(transaction, path);
  }
  Status write(xenbus::Transaction transaction, std::string_view path,
               std::string_view value) override {
    return store_.write(transaction, path, value);
  }
  Status make_directory(xenbus::Transaction transaction, std::string_view path) override {
    return store_.make_directory(transaction, path);
  }
  Status remove(xenbus::Transaction transaction, std::string_view path) override {
    return store_.remove(transaction, path);
  }
  Result<xenbus::Listing> directory(xenbus::Transaction transaction,
                                    std::string_view path) override {
    return store_.directory(transaction, path);
  }
  Status set_permissions(xenbus::Transaction transaction, std::string_view path,
                         std::span<const xenbus::Permission> permissions) override {
    return store_.set_permissions(transaction, path, permissions);
  }
  Result<xenbus::Transaction> begin() override { return store_.begin(); }
  Status commit(xenbus::Transaction transaction) override { return store_.commit(transaction); }
  void abort(xenbus::Transaction transaction) override { store_.abort(transaction); }
  Result<Owned<xenbus::Watch>> watch(std::string_view path, Delegate changed) override {
    return store_.watch(path, changed);
  }

 protected:
  ~ForwardingStore() = default;

 private:
  xenbus::Store& store_;
};

}  // namespace ringside::conformance
