#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "protocols/xenvbd/queue.hpp"

namespace ringside::conformance {

/// A client that keeps the books: what was taken must be completed once, no more, no less.
class Accounting final : public xenvbd::Client {
 public:
  /// Call before submit(), which may complete at once.
  void expect(const xenvbd::Request& request) { ++taken_[request.cookie]; }
  void refused(const xenvbd::Request& request) { --taken_[request.cookie]; }

  void completed(xenvbd::Queue&, xenvbd::Request& request, Status status) override {
    ++completed_[request.cookie];
    statuses_[request.cookie] = status;
    order_.push_back(request.cookie);
  }
  void disk_changed(const xenvbd::Disk& disk) override {
    disk_ = disk;
    ++disk_changes_;
  }
  void disk_lost() override { ++disk_losses_; }
  bool eject_requested() override { return lets_go; }
  bool lets_go = true;

  /// What does not add up, one line each; empty when every request was answered exactly once
  /// and the peer sent no response that belonged to none.
  std::string faults(const xenvbd::Queue& queue) const {
    std::ostringstream text;
    for (const auto& [cookie, count] : taken_) {
      const auto found = completed_.find(cookie);
      const int done = found == completed_.end() ? 0 : found->second;
      if (done != count) {
        text << "request " << cookie << " was taken " << count << " times, completed " << done
             << " times\n";
      }
    }
    if (const uint64_t bad = queue.statistics().bad_responses; bad > 0) {
      text << bad << " responses without a request: answered twice or made up\n";
    }
    return text.str();
  }

  size_t completions() const { return order_.size(); }
  const std::vector<uint64_t>& order() const { return order_; }
  std::optional<Status> status(uint64_t cookie) const {
    const auto found = statuses_.find(cookie);
    return found == statuses_.end() ? std::nullopt : std::optional(found->second);
  }
  const xenvbd::Disk& disk() const { return disk_; }
  unsigned disk_changes() const { return disk_changes_; }
  unsigned disk_losses() const { return disk_losses_; }

 private:
  std::map<uint64_t, int> taken_;
  std::map<uint64_t, int> completed_;
  std::map<uint64_t, Status> statuses_;
  std::vector<uint64_t> order_;
  xenvbd::Disk disk_;
  unsigned disk_changes_ = 0;
  unsigned disk_losses_ = 0;
};

}  // namespace ringside::conformance
