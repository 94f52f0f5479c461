#include "conformance/stepped/unmask_model.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace ringside::conformance {

using Access = Interleaver::Access;

UnmaskModel::UnmaskModel(const Plan& plan)
    : plan_(plan),
      platform_(kCpus, plan.fifo),
      xen_(platform_),
      events_(std::make_unique<xenbus::EventChannels>(platform_, xen_)) {
  const auto insist = [](bool held) {
    if (!held) throw std::runtime_error("the model of unmask could not be set up");
  };
  sim::Domain& guest = platform_.domain();
  sim::Domain& dom0 = platform_.machine().dom0();
  insist(ok(events_->start(reinterpret_cast<std::byte*>(&guest.shared_info()))));
  insist(events_->uses_fifo() == plan.fifo);
  for (unsigned i = 0; i < plan.ports; ++i) {
    auto line = std::make_unique<Line>();
    line->model = this;
    auto channel = events_->open_unbound(0, Delegate::to<&Line::handle>(*line), 0);
    insist(static_cast<bool>(channel));
    line->channel = *std::move(channel);
    line->channel->set_auto_mask(plan.shape == Shape::kAutoMask);
    const int64_t port = dom0.events().bind_interdomain(guest.id(), line->channel->port());
    insist(port > 0);
    line->back_port = static_cast<sim::Port>(port);
    lines_.push_back(std::move(line));
  }
}

UnmaskModel::~UnmaskModel() = default;

Interleaver::Scenario UnmaskModel::scenario(const Plan& plan) {
  return [plan] {
    const auto model = std::make_shared<UnmaskModel>(plan);
    Interleaver::Execution execution = model->execution();
    execution.verdict = [model] { return model->verdict(); };
    return execution;
  };
}

Interleaver::Execution UnmaskModel::execution() {
  Interleaver::Execution execution;
  for (const auto& each : lines_) {
    Line& line = *each;
    const std::string number = std::to_string(execution.threads.size() / 2);
    execution.threads.push_back({.name = "back end " + number, .body = [this, &line] {
                                   for (unsigned i = 0; i < plan_.events; ++i) send(line);
                                 }});
    const unsigned cpu = plan_.worker_cpu;
    platform_.add_thread("worker " + number, cpu);
    execution.threads.push_back({.name = "worker " + number,
                                 .body = [this, &line] { work(line); },
                                 .may_run = [this, cpu] { return !platform_.interrupted(cpu); }});
  }
  for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
    const std::string name = "upcall " + std::to_string(cpu);
    platform_.add_thread(name, cpu);
    execution.threads.push_back({.name = name, .body = [this, cpu] { upcalls(cpu); }});
  }
  return execution;
}

void UnmaskModel::send(Line& line) {
  Interleaver::current()->access(&line.work, Access::kWrite);
  ++line.work;
  evtchn_send_t operation{.port = line.back_port};
  sim::Machine& machine = platform_.machine();
  (void)machine.hypercall(machine.dom0(), 0, __HYPERVISOR_event_channel_op, EVTCHNOP_send,
                          reinterpret_cast<uint64_t>(&operation));
}

void UnmaskModel::look_for_work(Line& line) {
  Interleaver::current()->access(&line.work, Access::kWrite);
  line.work = 0;
}

void UnmaskModel::handle(Line& line) {
  if (plan_.shape != Shape::kAutoMask) return look_for_work(line);
  Interleaver::current()->access(&line.called, Access::kWrite);
  line.called = true;
}

void UnmaskModel::work(Line& line) {
  Interleaver& steps = *Interleaver::current();
  switch (plan_.shape) {
    case Shape::kAutoMask:
      while (steps.wait([&] { return line.called; })) {
        steps.access(&line.called, Access::kWrite);
        line.called = false;
        do look_for_work(line);
        while (line.channel->unmask());
      }
      break;
    case Shape::kMask:
      line.channel->mask();
      while (line.channel->unmask()) look_for_work(line);
      break;
    case Shape::kTrigger: line.channel->trigger(); break;
    case Shape::kMove: (void)line.channel->bind(1); break;
  }
}

void UnmaskModel::upcalls(unsigned cpu) {
  while (Interleaver::current()->wait([&] { return platform_.upcall_due(cpu); })) {
    platform_.take_upcall(cpu);
  }
}

std::optional<std::string> UnmaskModel::verdict() const {
  for (const auto& line : lines_) {
    if (line->work == 0) continue;
    return "EVTCHN-001: lost event: nobody looked for " + std::to_string(line->work) +
           " pieces of work";
  }
  return std::nullopt;
}

}  // namespace ringside::conformance
