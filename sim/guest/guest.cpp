#include "sim/guest/guest.hpp"

#include <atomic>
#include <utility>

#include "sim/guest/platform.hpp"

namespace ringside::sim {
namespace {

class GuestHypercall final : public xenbus::Hypercall {
 public:
  explicit GuestHypercall(GuestPlatform& platform) : platform_(platform) {}

  int64_t call(unsigned number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
               uint64_t a5) override {
    Domain& domain = platform_.domain();
    return domain.machine().hypercall(domain, platform_.cpu(), number, a1, a2, a3, a4, a5);
  }

 private:
  GuestPlatform& platform_;
};

}  // namespace

struct Guest::Impl {
  Impl(Machine& machine_, Domain& domain_)
      : world(machine_.world()), platform(machine_, domain_), hypercall(platform) {}

  World& world;
  GuestPlatform platform;
  GuestHypercall hypercall;
};

Guest::Guest(Machine& machine, Domain& domain) : impl_(std::make_unique<Impl>(machine, domain)) {
  live_in(domain);
}

void Guest::live_in(Domain& domain) {
  domain.set_auditor([this](std::vector<std::string>& findings) {
    for (std::string& finding : audit()) findings.push_back(std::move(finding));
  });
  domain.set_mover([this](Domain& next) {
    Domain& former = impl_->platform.domain();
    impl_->platform.move_to(next);
    live_in(next);
    former.set_auditor({});
  });
}

Guest::~Guest() {
  impl_->platform.stop();
  // What is left over stays known to the domain.
  domain().set_mover({});
  domain().set_auditor([left = audit()](std::vector<std::string>& findings) {
    findings.insert(findings.end(), left.begin(), left.end());
  });
}

Domain& Guest::domain() { return impl_->platform.domain(); }
platform::Platform& Guest::platform() { return impl_->platform; }
xenbus::Hypercall& Guest::hypercall() { return impl_->hypercall; }

void Guest::post(unsigned cpu, std::function<void()> job) {
  impl_->platform.vcpu(cpu).post(std::move(job));
}

bool Guest::run(unsigned cpu, std::function<void()> job, platform::Nanoseconds budget) {
  struct Outcome {
    std::exception_ptr failure;
    std::atomic<bool> done{false};
  };
  // Shared: a job that is late outlives this call.
  const auto outcome = std::make_shared<Outcome>();
  Vcpu& vcpu = impl_->platform.vcpu(cpu);
  vcpu.post([outcome, job = std::move(job)] {
    try {
      job();
    } catch (const Stopped&) {
      outcome->done.store(true);
      throw;
    } catch (...) {
      outcome->failure = std::current_exception();
    }
    outcome->done.store(true);
  });
  World& world = impl_->world;
  const bool in_time = world.run_until([&outcome] { return outcome->done.load(); }, budget);
  if (in_time && outcome->failure) std::rethrow_exception(outcome->failure);
  if (auto failure = vcpu.take_failure()) std::rethrow_exception(failure);
  return in_time;
}

void Guest::set_setting(std::string name, uint32_t value) {
  impl_->platform.set_setting(std::move(name), value);
}
void Guest::set_low_memory(size_t pages) { impl_->platform.set_low_memory(pages); }
void Guest::fail_allocation_at(uint64_t n) { impl_->platform.heap().fail_at(n); }
void Guest::fail_allocations_if(std::function<bool()> judge) {
  impl_->platform.heap().fail_if(std::move(judge));
}
uint64_t Guest::allocations() const { return impl_->platform.heap().requests(); }
std::vector<std::string> Guest::log() const { return impl_->platform.lines(); }
void Guest::on_log(std::function<void(platform::LogLevel, std::string_view)> listener) {
  impl_->platform.on_log(std::move(listener));
}
std::vector<std::string> Guest::audit() const { return impl_->platform.audit(); }

}  // namespace ringside::sim
