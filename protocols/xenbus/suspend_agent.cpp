#include "protocols/xenbus/suspend_agent.hpp"

#include <utility>

namespace ringside::xenbus {

namespace {

constexpr std::string_view kRequest = "control/shutdown";
constexpr std::string_view kFeature = "control/feature-suspend";

}  // namespace

Result<platform::Box<SuspendAgent>> SuspendAgent::create(const Services& services) {
  if (services.suspend == nullptr) return Status::kNotSupported;
  auto box = platform::Box<SuspendAgent>::create(services.platform, services);
  if (!box) return box.status();
  if (const Status status = (*box)->start(); !ok(status)) return status;
  return box;
}

Status SuspendAgent::start() {
  auto work = services_.platform.create_work(Delegate::to<&SuspendAgent::run>(*this), 0);
  if (!work) return work.status();
  work_ = *std::move(work);
  auto retry = services_.platform.create_timer(Delegate::to<&SuspendAgent::changed>(*this), 0);
  if (!retry) return retry.status();
  retry_ = *std::move(retry);
  auto late =
      services_.suspend->add(SuspendPhase::kLate, Delegate::to<&SuspendAgent::advertise>(*this));
  if (!late) return late.status();
  late_ = *std::move(late);
  auto watch = services_.store.watch(kRequest, Delegate::to<&SuspendAgent::changed>(*this));
  if (!watch) return watch.status();
  watch_ = *std::move(watch);
  advertise();
  return Status::kOk;
}

SuspendAgent::~SuspendAgent() {
  if (!watch_) return;
  watch_.reset();
  // The work may start the timer, and the timer queue the work.
  work_->cancel();
  retry_->cancel();
  work_->cancel();
  late_.reset();
  (void)services_.store.write(kNoTransaction, kFeature, "0");
}

void SuspendAgent::advertise() {
  // CONTROL-002: not every toolstack has the node, or lets the guest write it.
  (void)services_.store.write(kNoTransaction, kFeature, "1");
}

void SuspendAgent::run() {
  const Status taken = take_request();
  // CONTROL-007: nobody asks twice.
  if (may_pass(taken)) retry_->start(services_.platform.now() + kRetry);
  if (!ok(taken)) return;
  const auto outcome = services_.suspend->trigger();
  if (!outcome) {
    services_.platform.log(platform::LogLevel::kError, "the suspend that was asked for failed");
  }
}

Status SuspendAgent::take_request() {
  Status status = Status::kAgain;
  Transaction undecided;
  for (unsigned tries = 0; tries < kMaxCommitTries && status == Status::kAgain; ++tries) {
    const auto transaction = services_.store.begin();
    if (!transaction) return transaction.status();
    status = take_request(*transaction);
    if (ok(status)) {
      status = services_.store.commit(*transaction);
      undecided = *transaction;
    } else {
      // CONTROL-008: the answer to an acknowledgement went with its connection; that it was
      // carried out shows.
      const bool lost = undecided.id != 0 && undecided.connection != transaction->connection;
      if (lost && status == Status::kNotFound) status = Status::kOk;
      services_.store.abort(*transaction);
    }
  }
  return status;
}

Status SuspendAgent::take_request(Transaction transaction) {
  const auto value = services_.store.read(transaction, kRequest);
  if (!value) return value.status();
  if (value->view() != "suspend") return Status::kNotFound;
  // CONTROL-001: acknowledged by an empty value, before it is acted upon.
  return services_.store.write(transaction, kRequest, "");
}

}  // namespace ringside::xenbus
