#include "protocols/xeniface/shutdown_agent.hpp"

#include <utility>

namespace ringside::xeniface {

namespace {

constexpr std::string_view kNode = "control/shutdown";

struct Command {
  std::string_view name;
  PowerAction action;
};
constexpr Command kCommands[] = {
    {"poweroff", PowerAction::kPowerOff}, {"halt", PowerAction::kPowerOff},
    {"reboot", PowerAction::kReboot},     {"s3", PowerAction::kSleep},
    {"s4", PowerAction::kHibernate},      {"hibernate", PowerAction::kHibernate}};

constexpr Command kFeatures[] = {{"control/feature-poweroff", PowerAction::kPowerOff},
                                 {"control/feature-reboot", PowerAction::kReboot},
                                 {"control/feature-s3", PowerAction::kSleep},
                                 {"control/feature-s4", PowerAction::kHibernate}};

}  // namespace

Result<platform::Box<ShutdownAgent>> ShutdownAgent::create(const xenbus::Services& services,
                                                           PowerActions& actions) {
  auto box = platform::Box<ShutdownAgent>::create(services.platform, services, actions);
  if (!box) return box.status();
  if (const Status status = (*box)->start(); !ok(status)) return status;
  return box;
}

Status ShutdownAgent::start() {
  auto work = services_.platform.create_work(Delegate::to<&ShutdownAgent::run>(*this), 0);
  if (!work) return work.status();
  work_ = *std::move(work);
  auto retry = services_.platform.create_timer(Delegate::to<&ShutdownAgent::changed>(*this), 0);
  if (!retry) return retry.status();
  retry_ = *std::move(retry);
  if (services_.suspend != nullptr) {
    auto late = services_.suspend->add(xenbus::SuspendPhase::kLate,
                                       Delegate::to<&ShutdownAgent::advertise>(*this));
    if (!late) return late.status();
    late_ = *std::move(late);
  }
  // IFACE-062: no promise before there is somebody to keep it.
  auto watch = services_.store.watch(kNode, Delegate::to<&ShutdownAgent::changed>(*this));
  if (!watch) return watch.status();
  watch_ = *std::move(watch);
  advertise();
  return Status::kOk;
}

ShutdownAgent::~ShutdownAgent() {
  if (!watch_) return;
  late_.reset();
  write_features(false);
  watch_.reset();
  // The work may start the timer, and the timer queue the work.
  work_->cancel();
  retry_->cancel();
  work_->cancel();
}

void ShutdownAgent::write_features(bool present) {
  for (const Command& feature : kFeatures) {
    const bool can = present && actions_.can(feature.action);
    // IFACE-063: toolstacks differ in which of the nodes they let a guest write.
    (void)services_.store.write(xenbus::kNoTransaction, feature.name, can ? "1" : "0");
  }
}

void ShutdownAgent::run() {
  const auto action = take_request();
  // CONTROL-007: nobody asks twice.
  if (may_pass(action.status())) retry_->start(services_.platform.now() + kRetry);
  if (!action) return;
  if (!ok(actions_.begin(*action))) {
    services_.platform.log(platform::LogLevel::kError, "a requested shutdown did not begin");
  }
}

Result<PowerAction> ShutdownAgent::take_request() {
  for (unsigned tries = 0; tries < kMaxCommitTries; ++tries) {
    const auto transaction = services_.store.begin();
    if (!transaction) return transaction.status();
    const auto action = take_request(*transaction);
    if (!action) {
      services_.store.abort(*transaction);
      return action.status();
    }
    // IFACE-060: only what was acknowledged is done, and only the request that was.
    const Status status = services_.store.commit(*transaction);
    if (ok(status)) return PowerAction{*action};
    if (status != Status::kAgain) return status;
  }
  return Status::kAgain;
}

Result<PowerAction> ShutdownAgent::take_request(xenbus::Transaction transaction) {
  const auto value = services_.store.read(transaction, kNode);
  if (!value) return value.status();
  for (const Command& command : kCommands) {
    if (value->view() != command.name) continue;
    if (!actions_.can(command.action)) {
      services_.platform.log(platform::LogLevel::kWarning,
                             "asked for a kind of shutdown that this system cannot do");
      return Status::kNotSupported;
    }
    const Status status = services_.store.write(transaction, kNode, "");
    if (!ok(status)) return status;
    return PowerAction{command.action};
  }
  return Status::kNotFound;
}

}  // namespace ringside::xeniface
