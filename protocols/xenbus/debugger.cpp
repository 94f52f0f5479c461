#include "protocols/xenbus/debugger.hpp"

#include "protocols/platform/xen.hpp"

namespace ringside::xenbus {

Status Debugger::start() {
  const Status status = callbacks_.start();
  return ok(status) ? resume() : status;
}

Status Debugger::resume() {
  interrupt_.reset();
  auto channel = events_.open_virq(VIRQ_DEBUG, Delegate::to<&Debugger::trigger>(*this), 0);
  // Whoever was here before may not have let go of it; nothing else depends on it.
  if (channel.status() == Status::kExists) return Status::kOk;
  if (!channel) return channel.status();
  interrupt_ = *std::move(channel);
  return Status::kOk;
}

Result<Owned<Callback>> Debugger::add(const char*, Delegate tell) { return callbacks_.add(tell); }

void Debugger::print(std::string_view line) {
  platform_.log(platform::LogLevel::kInfo, line);
  host_.log(line);
}

}  // namespace ringside::xenbus
