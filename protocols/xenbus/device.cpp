#include "protocols/xenbus/device.hpp"

namespace ringside::xenbus {

namespace {

bool has_features(DeviceState state) {
  // XENBUS-006: a back end may skip InitWait.
  return state == DeviceState::kInitWait || state == DeviceState::kInitialised;
}

bool is_ending(DeviceState state) {
  return state == DeviceState::kClosing || state == DeviceState::kClosed;
}

bool is_beginning(DeviceState state) {
  return state == DeviceState::kInitialising || state == DeviceState::kInitWait;
}

}  // namespace

Device::Device(const Services& services, DeviceProfile profile, DeviceDriver& driver)
    : services_(services),
      profile_(profile),
      driver_(driver),
      backend_(services.store, Delegate::to<&Device::backend_fired>(*this)) {}

Result<platform::Box<Device>> Device::create(const Services& services, std::string_view path,
                                             DeviceProfile profile, DeviceDriver& driver) {
  auto device = platform::Box<Device>::create(services.platform, services, profile, driver);
  if (!device) return device.status();
  const Status status = (*device)->prepare_to_run(path);
  if (!ok(status)) return status;
  return *std::move(device);
}

Status Device::prepare_to_run(std::string_view path) {
  auto copy = platform::Buffer::copy(services_.platform, path);
  if (!copy) return copy.status();
  auto connected = services_.platform.create_event();
  if (!connected) return connected.status();
  auto closed = services_.platform.create_event();
  if (!closed) return closed.status();
  auto work = services_.platform.create_work(Delegate::to<&Device::run>(*this), 0);
  if (!work) return work.status();
  auto retry = services_.platform.create_timer(Delegate::to<&Device::retry_due>(*this), 0);
  if (!retry) return retry.status();
  path_ = *std::move(copy);
  connected_ = *std::move(connected);
  closed_ = *std::move(closed);
  work_ = *std::move(work);
  retry_ = *std::move(retry);
  Suspend* suspend = services_.suspend;
  if (suspend == nullptr) return Status::kOk;
  auto early = suspend->add(SuspendPhase::kEarly, Delegate::to<&Device::resumed_early>(*this));
  if (!early) return early.status();
  early_ = *std::move(early);
  auto late = suspend->add(SuspendPhase::kLate, Delegate::to<&Device::resumed_late>(*this));
  if (!late) return late.status();
  late_ = *std::move(late);
  return Status::kOk;
}

Device::~Device() {
  if (!work_) return;
  // A watch that fires while this waits queues the work again: such a run must not begin.
  leaving_.store(true);
  early_.reset();
  late_.reset();
  retry_->cancel();
  work_->cancel();
  frontend_watch_.reset();
  backend_.stop_watching();
  work_->cancel();
  const Phase phase = phase_.load();
  stop_driver();
  if (phase != Phase::kStopped && phase != Phase::kClosed) (void)write_state(DeviceState::kClosed);
  release_driver();
}

DeviceState Device::state() const { return state_.load(); }
DeviceState Device::backend_state() const { return backend_state_.load(); }
platform::Event& Device::connected() { return *connected_; }
platform::Event& Device::closed() { return *closed_; }

Status Device::start() {
  if (phase_.load() != Phase::kStopped) return Status::kBusy;
  const Node node = frontend();
  const auto own = node.read("state");
  if (own) state_.store(parse_state(own->view()));
  const Node backend_key = node.child("backend");
  auto watch =
      services_.store.watch(backend_key.path(), Delegate::to<&Device::frontend_fired>(*this));
  if (!watch) return watch.status();
  frontend_watch_ = *std::move(watch);
  initialise();
  work_->queue();
  return Status::kOk;
}

void Device::close() {
  close_wanted_.store(true);
  work_->queue();
}

void Device::let_go() {
  let_go_.store(true);
  work_->queue();
}

void Device::refuse_eject() {
  // The words by which toolstacks know it. Source: the Windows PV drivers' network front end.
  (void)frontend().write("error", "UNPLUG FAILED: device is still in use");
}

Status Device::reopen() {
  if (phase_.load() != Phase::kClosed) return Status::kBusy;
  const auto path = frontend().read("backend");
  if (!path) return path.status() == Status::kNotFound ? Status::kClosed : path.status();
  const auto backend = BackendView::look(services_.store, path->view());
  if (!backend) return backend.status();
  // XENBUS-014: an offline back end will not answer any more.
  if (!backend->present || !backend->online) return Status::kClosed;
  close_wanted_.store(false);
  open_wanted_.store(true);
  work_->queue();
  return Status::kOk;
}

void Device::fail(Status why) {
  Status none = Status::kOk;
  failure_.compare_exchange_strong(none, why);
  work_->queue();
}

void Device::backend_fired() {
  changed_.store(true);
  work_->queue();
}

void Device::run() {
  if (leaving_.load()) return;
  // While this waits for the store the work item may be started again; one at a time.
  if (runs_wanted_.fetch_add(1) != 0) return;
  unsigned seen;
  do {
    seen = runs_wanted_.load();
    run_once();
  } while (runs_wanted_.fetch_sub(seen) != seen);
}

void Device::run_once() {
  if (resumed_.exchange(false)) come_back();
  if (phase_.load() == Phase::kStopped) return;
  if (open_wanted_.exchange(false) && phase_.load() == Phase::kClosed) {
    reconnect_ = true;
    initialise();
  }
  const Status failure = failure_.exchange(Status::kOk);
  if (!ok(failure)) give_up(failure);
  if (close_wanted_.exchange(false)) {
    reconnect_ = false;
    restart_ = false;
    begin_close();
  }

  if (let_go_.exchange(false)) begin_close();

  // Nobody else will wake a device that could not look, or whose state could not be written.
  Status status = look_and_step();
  if (ok(status) && unwritten_) status = write_state(state_.load());
  if (may_pass(status)) retry_->start(services_.platform.now() + kRetryDelay);
}

Status Device::look_and_step() {
  const Status found = backend_.find(frontend());
  if (!ok(found) && found != Status::kNotFound && found != Status::kClosed) return found;
  const auto backend = ok(found) ? backend_.look() : Result<Backend>(Backend{});
  if (!backend) return backend.status();
  const bool changed = changed_.exchange(false);
  backend_state_.store(backend->state);
  if (resumed_.load()) return Status::kOk;  // what was seen may be the former domain's

  // One look may carry several steps, when the back end needn't be waited for.
  Phase before;
  unsigned steps = 0;
  do {
    before = phase_.load();
    advance(*backend, changed);
  } while (phase_.load() != before && ++steps < 8);
  return Status::kOk;
}

void Device::advance(const Backend& backend, bool changed) {
  switch (phase_.load()) {
    case Phase::kStopped: return;
    case Phase::kInitialising: return on_initialising(backend);
    case Phase::kPublished: return on_published(backend);
    case Phase::kConnected: return on_connected(backend, changed);
    case Phase::kClosing: return on_closing(backend);
    case Phase::kLeaving: return on_leaving(backend);
    case Phase::kClosed: return on_closed(backend);
  }
}

void Device::on_initialising(const Backend& backend) {
  // XENBUS-010: offline means unplug, whatever the state.
  if (!backend.present || !backend.online) return begin_close();
  // XENBUS-003: features are there from InitWait on.
  if (has_features(backend.state)) return negotiate();
  // An earlier driver's connection, left open: it has to end before ours begins.
  if (backend.state == DeviceState::kConnected || backend.state == DeviceState::kClosing) {
    restart_ = true;
    begin_close();
  }
}

void Device::on_published(const Backend& backend) {
  if (!backend.present || !backend.online || is_ending(backend.state)) return begin_close();
  if (backend.state != DeviceState::kConnected) return;
  // XENBUS-005: only now are the device's properties there.
  const Status status = driver_.connect(backend_.node());
  if (!ok(status)) return give_up(status);
  enter(Phase::kConnected, DeviceState::kConnected);
  connected_->signal();
}

void Device::on_connected(const Backend& backend, bool changed) {
  if (must_leave(backend)) return begin_close();
  if (is_beginning(backend.state)) {
    // A new back end took the place of ours, and knows nothing of our grants.
    restart_ = true;
    return begin_close();
  }
  // XENBUS-016: the same state again is no second connection. XENBUS-015: nor is any other.
  if (changed) driver_.backend_changed(backend_.node());
}

bool Device::must_leave(const Backend& backend) {
  if (!backend.present || backend.state == DeviceState::kClosed) return true;
  if (backend.online) {
    eject_asked_ = false;
    return is_ending(backend.state);
  }
  // XENBUS-018: the toolstack asks for the device, and its owner may need it still.
  if (eject_asked_) return false;
  eject_asked_ = true;
  return driver_.may_eject();
}

bool Device::nothing_shared(const Backend& backend) const {
  return !backend.present || (!published_ && !restart_);
}

void Device::on_closing(const Backend& backend) {
  // XENBUS-008: Closed follows the back end's own Closing.
  back_end_left_ = is_ending(backend.state);
  if (back_end_left_ || nothing_shared(backend)) enter(Phase::kLeaving, DeviceState::kClosed);
}

void Device::on_leaving(const Backend& backend) {
  const bool came_back = back_end_left_ && is_beginning(backend.state);
  const bool closed = backend.state == DeviceState::kClosed;
  if (!closed && !came_back && !nothing_shared(backend)) return;
  // XENBUS-009: the back end has let go of rings and channels, or is no more.
  release_driver();
  phase_.store(Phase::kClosed);
  closed_->signal();
}

void Device::on_closed(const Backend& backend) {
  // XENBUS-010, XENBUS-014: only an online back end is worth another try.
  if (!reconnect_ || !backend.present || !backend.online) return;
  if (restart_ || backend.state == DeviceState::kInitWait) initialise();
}

void Device::initialise() {
  // XENBUS-012: the back end answers Initialising with InitWait.
  closed_->reset();
  restart_ = false;
  back_end_left_ = false;
  eject_asked_ = false;
  enter(Phase::kInitialising, DeviceState::kInitialising);
}

void Device::negotiate() {
  prepared_ = true;
  Status status = driver_.prepare(backend_.domain(), backend_.node());
  if (ok(status)) status = publish_all();
  if (!ok(status)) return give_up(status);
  // XENBUS-004: which state this is depends on the kind of device.
  state_.store(profile_.published);
  unwritten_ = false;
  phase_.store(Phase::kPublished);
}

Status Device::publish_all() {
  // XENBUS-007: the back end sees all of the keys and the state, or nothing.
  for (unsigned i = 0; i < kMaxCommitTries && !resumed_.load(); ++i) {
    const auto transaction = services_.store.begin();
    if (!transaction) return transaction.status();
    const Node node = frontend(*transaction);
    Status status = driver_.publish(node);
    if (ok(status)) {
      status = node.write_number("state", static_cast<uint64_t>(profile_.published));
    }
    if (ok(status)) {
      published_ = true;
      status = services_.store.commit(*transaction);
      if (ok(status)) return Status::kOk;
    } else {
      services_.store.abort(*transaction);
    }
    if (status != Status::kAgain) return status;
    published_ = false;
  }
  return Status::kAgain;
}

void Device::give_up(Status why) {
  if (resumed_.load()) return;  // what failed is no more
  (void)frontend().write("error", to_string(why));
  reconnect_ = false;
  restart_ = false;
  begin_close();
}

/// After a resume: nobody holds what was shared, and the new back end expects Initialising.
void Device::come_back() {
  const Phase phase = phase_.load();
  if (phase == Phase::kStopped) return;
  connected_->reset();
  stop_driver();
  release_driver();
  unwritten_ = true;
  const bool leaving = phase == Phase::kClosing || phase == Phase::kLeaving;
  if (phase != Phase::kClosed && (!leaving || reconnect_ || restart_)) return initialise();
  enter(Phase::kClosed, DeviceState::kClosed);
  closed_->signal();
}

void Device::begin_close() {
  const Phase phase = phase_.load();
  if (phase != Phase::kInitialising && phase != Phase::kPublished && phase != Phase::kConnected) {
    return;
  }
  connected_->reset();
  stop_driver();
  if (!published_) release_driver();
  enter(Phase::kClosing, DeviceState::kClosing);
}

void Device::stop_driver() {
  if (prepared_ && !stopped_) driver_.stop();
  stopped_ = true;
}

void Device::release_driver() {
  if (prepared_) driver_.release();
  prepared_ = false;
  stopped_ = false;
  published_ = false;
}

void Device::enter(Phase phase, DeviceState state) {
  const bool shown = state_.load() == state && !unwritten_;
  state_.store(state);
  if (!shown) (void)write_state(state);
  phase_.store(phase);
}

Status Device::write_state(DeviceState state) {
  const Node node = frontend();
  // A write would bring back the directory of a device that the toolstack has removed.
  const Status there = node.read("state").status();
  Status status = there;
  if (ok(there)) status = node.write_number("state", static_cast<uint64_t>(state));
  unwritten_ = may_pass(status);
  return status;
}

Node Device::frontend(Transaction transaction) const {
  return {services_.store, transaction, path_.view()};
}

}  // namespace ringside::xenbus
