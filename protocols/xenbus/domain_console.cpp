#include "protocols/xenbus/domain_console.hpp"

#include <utility>

namespace ringside::xenbus {

DomainConsole::~DomainConsole() { detach(); }

Status DomainConsole::start() {
  Status status = wakeups_.start();
  if (!ok(status)) return status;
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  status = attach();
  return status == Status::kNotFound ? Status::kOk : status;
}

void DomainConsole::disconnect() {
  if (state_ == Status::kOk) state_ = Status::kClosed;
}

Status DomainConsole::resume() {
  detach();
  const Status status = attach();
  changed();
  return status == Status::kNotFound ? Status::kOk : status;
}

Status DomainConsole::attach() {
  // Not every toolstack gives an HVM guest a console.
  const auto frame = xen_.parameter(HVM_PARAM_CONSOLE_PFN);
  const auto port = xen_.parameter(HVM_PARAM_CONSOLE_EVTCHN);
  if (!frame || !port || *frame == 0 || *port == 0) return Status::kNotFound;
  const auto page = platform_.map_frame(*frame);
  if (!page) return page.status();
  auto* shared = reinterpret_cast<xencons_interface*>(*page);
  {
    const platform::LockGuard guard(*lock_);
    page_ = *page;
    port_ = static_cast<Port>(*port);
    out_ = ByteRingEnd(shared->out, shared->out_prod, shared->out_cons);
    in_ = ByteRingEnd(shared->in, shared->in_cons, shared->in_prod);
    state_ = Status::kOk;
  }
  auto channel = events_.open_fixed(port_, Delegate::to<&DomainConsole::changed>(*this), 0);
  if (!channel) return channel.status();
  channel_ = *std::move(channel);
  return Status::kOk;
}

void DomainConsole::detach() {
  channel_.reset();
  if (!lock_) return;
  std::byte* page = nullptr;
  {
    const platform::LockGuard guard(*lock_);
    page = std::exchange(page_, nullptr);
    state_ = Status::kNotFound;
  }
  if (page != nullptr) platform_.unmap_frame(page);
}

template <typename Operation>
Result<size_t> DomainConsole::operate(bool moves, Operation operation) {
  const platform::LockGuard guard(*lock_);
  if (!ok(state_)) return state_;
  const Result<size_t> done = operation();
  if (!done) {
    // CONSOLE-001: what broke the protocol once is not asked again.
    state_ = done.status();
    platform_.log(platform::LogLevel::kError, "the console daemon broke the protocol: closed");
  } else if (moves && *done != 0) {
    (void)xen_.send(port_);  // CONSOLE-002: the daemon waits for bytes, and for room
  }
  return done;
}

Result<size_t> DomainConsole::readable() {
  return operate(false, [this] { return in_.available(); });
}

Result<size_t> DomainConsole::writable() {
  return operate(false, [this] { return out_.room(); });
}

Result<size_t> DomainConsole::read(std::span<std::byte> room) {
  return operate(true, [&] { return in_.read(room); });
}

Result<size_t> DomainConsole::write(std::string_view text) {
  return operate(true, [&] { return out_.write(std::as_bytes(std::span(text))); });
}

}  // namespace ringside::xenbus
