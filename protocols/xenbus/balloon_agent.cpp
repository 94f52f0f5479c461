#include "protocols/xenbus/balloon_agent.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace ringside::xenbus {
namespace {

constexpr std::string_view kTarget = "memory/target";
constexpr std::string_view kMost = "memory/static-max";
constexpr std::string_view kVideo = "memory/videoram";
constexpr std::string_view kFeature = "control/feature-balloon";
constexpr std::string_view kActive = "control/balloon-active";
constexpr uint64_t kPageKib = platform::kPageSize / 1024;

}  // namespace

Result<platform::Box<BalloonAgent>> BalloonAgent::create(const Services& services,
                                                         PageBalloon& balloon) {
  if (services.suspend == nullptr) return Status::kNotSupported;
  auto box = platform::Box<BalloonAgent>::create(services.platform, services, balloon);
  if (!box) return box.status();
  if (const Status status = (*box)->start(); !ok(status)) return status;
  return box;
}

Status BalloonAgent::start() {
  auto work = services_.platform.create_work(Delegate::to<&BalloonAgent::run>(*this), 0);
  if (!work) return work.status();
  work_ = *std::move(work);
  auto timer = services_.platform.create_timer(Delegate::to<&BalloonAgent::look>(*this), 0);
  if (!timer) return timer.status();
  timer_ = *std::move(timer);
  auto late =
      services_.suspend->add(SuspendPhase::kLate, Delegate::to<&BalloonAgent::resumed>(*this));
  if (!late) return late.status();
  late_ = *std::move(late);
  balloon_.on_suspend_over(Delegate::to<&BalloonAgent::look>(*this));
  auto watch = services_.store.watch(kTarget, Delegate::to<&BalloonAgent::asked>(*this));
  if (!watch) {
    balloon_.on_suspend_over({});
    return watch.status();
  }
  watch_ = *std::move(watch);
  return Status::kOk;
}

BalloonAgent::~BalloonAgent() {
  if (!watch_) return;
  watch_.reset();
  balloon_.on_suspend_over({});
  late_.reset();
  // The work may start the timer, and the timer queue the work.
  work_->cancel();
  timer_->cancel();
  work_->cancel();
  (void)say(active_, kActive, false);
  (void)say(able_, kFeature, false);
}

void BalloonAgent::asked() {
  pause_.store(kFirstPause);
  look();
}

void BalloonAgent::resumed() {
  // MEMORY-007: another toolstack has limits of its own.
  resumed_.store(true);
  asked();
}

Status BalloonAgent::say(bool& said, std::string_view node, bool value) {
  if (said == value) return Status::kOk;
  const Status status = services_.store.write(kNoTransaction, node, value ? "1" : "0");
  // CONTROL-002: a toolstack that does not let the guest write there does not want to know.
  if (status == Status::kNoMemory) return status;
  said = value;
  return Status::kOk;
}

Result<uint64_t> BalloonAgent::read_kib(std::string_view path) {
  const auto value = services_.store.read(kNoTransaction, path);
  if (!value) return value.status();
  const std::string_view text = value->view();
  uint64_t kib = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), kib);
  if (error != std::errc() || end != text.data() + text.size()) return Status::kInvalidArgument;
  return uint64_t{kib};
}

Result<uint64_t> BalloonAgent::wanted() {
  const auto target = read_kib(kTarget);
  if (!target) return target.status();
  const auto most = read_kib(kMost);
  if (!most) return most.status();
  // It is part of the one and not of the other.
  const auto video = read_kib(kVideo).value_or(0);
  const uint64_t usable = *most - std::min(*most, video);
  return uint64_t{(usable - std::min(usable, *target)) / kPageKib};
}

void BalloonAgent::run() {
  const uint64_t before = balloon_.size();
  const Status status = go_on();
  if (ok(status)) return;
  if (status == Status::kAgain) return look();
  // MEMORY-003: what there is no memory for now may be possible later.
  const uint32_t pause = balloon_.size() == before ? pause_.load() : kFirstPause;
  pause_.store(std::min(2 * pause, kLastPause));
  timer_->start(services_.platform.now() + pause * platform::kSecond);
}

Status BalloonAgent::go_on() {
  const auto pages = wanted();
  if (!pages) return pages.status() == Status::kNoMemory ? Status::kNoMemory : Status::kOk;
  if (resumed_.exchange(false)) able_ = active_ = false;
  // MEMORY-001
  Status status = say(able_, kFeature, true);
  if (!ok(status)) return status;
  if (balloon_.size() != *pages) {
    // MEMORY-005: a toolstack that is to move the domain waits until this is over.
    status = say(active_, kActive, true);
    if (ok(status)) status = balloon_.adjust(*pages);
    if (!ok(status)) return status;
  }
  return say(active_, kActive, false);
}

}  // namespace ringside::xenbus
