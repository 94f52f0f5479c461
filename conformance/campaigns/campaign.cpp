#include "conformance/campaigns/campaign.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>

#include "conformance/rig/options.hpp"
#include "conformance/runner/worker.hpp"

namespace ringside::conformance {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

/// Worlds that one process runs: enough that starting it costs nothing, few enough that the
/// last ones end together.
constexpr uint64_t kWorldsPerWorker = 32;

/// Seeds first..last.
struct Stretch {
  uint64_t first = 0;
  uint64_t last = 0;
};

sim::FaultPlan plan_for(const CampaignOptions& options, uint64_t seed) {
  return options.plan ? *options.plan : plan_of(seed, options.kinds);
}

WorldRecord run_here(uint64_t seed, const CampaignOptions& options) {
  WorldRecord record;
  record.seed = seed;
  record.plan = plan_for(options, seed);
  const auto start = Clock::now();
  try {
    record.result = options.run(seed, record.plan);
    record.outcome = record.result.findings.empty() ? Outcome::kSuccess : Outcome::kFailure;
  } catch (const std::exception& e) {
    record.message = e.what();
  }
  record.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return record;
}

json to_line(const WorldRecord& record) {
  const WorldResult& result = record.result;
  return {{"outcome", static_cast<int>(record.outcome)},
          {"message", record.message},
          {"findings", result.findings},
          {"digest", result.digest},
          {"struck", result.struck},
          {"frames", result.frames},
          {"requests", result.requests},
          {"steps", result.steps},
          {"seconds", record.seconds}};
}

void take_line(const json& line, WorldRecord& record) {
  record.outcome = static_cast<Outcome>(line.at("outcome").get<int>());
  record.message = line.at("message").get<std::string>();
  record.result.findings = line.at("findings").get<std::vector<std::string>>();
  record.result.digest = line.at("digest").get<std::string>();
  record.result.struck = line.at("struck").get<Injector::Counts>();
  record.result.frames = line.at("frames").get<uint64_t>();
  record.result.requests = line.at("requests").get<uint64_t>();
  record.result.steps = line.at("steps").get<uint64_t>();
  record.seconds = line.at("seconds").get<double>();
}

/// A process at work on a stretch of seeds, and how far it has come.
class Shift {
 public:
  Shift(Stretch stretch, const CampaignOptions& options)
      : next_(stretch.first),
        last_(stretch.last),
        options_(options),
        worker_([&](int report, int) { work(stretch, report); }) {}

  int report() const { return worker_.report(); }
  Clock::time_point deadline() const {
    return since_ + std::chrono::seconds(options_.timeout_seconds);
  }

  /// Takes what was reported; false when the process has ended.
  bool read(const std::function<void(WorldRecord)>& take) {
    return worker_.read([&](const std::string& line) {
      WorldRecord record = unheard();
      take_line(json::parse(line), record);
      take(std::move(record));
      ++next_;
      since_ = Clock::now();
    });
  }

  /// After the end: what is left to do. The world that was running is blamed for a bad end.
  std::optional<Stretch> finish(bool hung, const std::function<void(WorldRecord)>& take) {
    const std::string end = describe_end(worker_.wait(hung));
    if (next_ <= last_ && (hung || !end.empty())) {
      WorldRecord record = unheard();
      record.outcome = Outcome::kCrash;
      record.message =
          hung ? fmt::format("hung: no end after {} s", options_.timeout_seconds) : end;
      record.output = worker_.output_since(0);
      record.seconds = std::chrono::duration<double>(Clock::now() - since_).count();
      take(std::move(record));
      ++next_;
    }
    if (next_ > last_) return {};
    return Stretch{next_, last_};
  }

 private:
  WorldRecord unheard() const {
    WorldRecord record;
    record.seed = next_;
    record.plan = plan_for(options_, next_);
    return record;
  }

  void work(Stretch stretch, int report) const {
    for (uint64_t seed = stretch.first; seed <= stretch.last; ++seed) {
      const WorldRecord record = run_here(seed, options_);
      report_line(report, to_line(record));
      // A world that failed may have left anything behind.
      if (record.outcome != Outcome::kSuccess) return;
    }
  }

  uint64_t next_;
  uint64_t last_;
  const CampaignOptions& options_;
  Clock::time_point since_ = Clock::now();
  Worker worker_;
};

/// All shifts of one campaign.
class Campaign {
 public:
  explicit Campaign(const CampaignOptions& options) : options_(options), next_(options.first) {}

  std::vector<WorldRecord> run() {
    while (hire() || !shifts_.empty()) follow();
    std::sort(records_.begin(), records_.end(),
              [](const auto& a, const auto& b) { return a.seed < b.seed; });
    return std::move(records_);
  }

 private:
  bool hire() {
    while (shifts_.size() < std::max(options_.jobs, 1u)) {
      Stretch stretch;
      if (!left_.empty()) {
        stretch = left_.front();
        left_.pop_front();
      } else if (next_ <= options_.last && !over()) {
        stretch = {next_, std::min(options_.last, next_ + kWorldsPerWorker - 1)};
        next_ = stretch.last + 1;
      } else {
        return false;
      }
      shifts_.push_back(std::make_unique<Shift>(stretch, options_));
    }
    return true;
  }

  bool over() const { return options_.limit && Clock::now() - start_ >= *options_.limit; }

  void follow() {
    std::vector<pollfd> ready;
    auto deadline = Clock::time_point::max();
    for (const auto& shift : shifts_) {
      ready.push_back({shift->report(), POLLIN, 0});
      deadline = std::min(deadline, shift->deadline());
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (poll(ready.data(), ready.size(), left < 0 ? 0 : static_cast<int>(left) + 1) < 0) return;
    const auto take = [this](WorldRecord record) { keep(std::move(record)); };
    for (size_t i = shifts_.size(); i-- > 0;) {
      bool ended = false;
      bool hung = false;
      if (ready[i].revents != 0) {
        ended = !shifts_[i]->read(take);
      } else {
        hung = Clock::now() >= shifts_[i]->deadline();
      }
      if (!ended && !hung) continue;
      if (const auto rest = shifts_[i]->finish(hung, take)) left_.push_back(*rest);
      shifts_.erase(shifts_.begin() + static_cast<ptrdiff_t>(i));
    }
  }

  void keep(WorldRecord record) {
    records_.push_back(std::move(record));
    if (!options_.progress) return;
    options_.progress(records_.back(), records_.size(), options_.last - options_.first + 1);
  }

  const CampaignOptions& options_;
  Clock::time_point start_ = Clock::now();
  uint64_t next_;
  std::deque<Stretch> left_;
  std::vector<std::unique_ptr<Shift>> shifts_;
  std::vector<WorldRecord> records_;
};

}  // namespace

Outcome CampaignReport::outcome() const {
  Outcome worst = Outcome::kSuccess;
  for (const WorldRecord& record : records) worst = worse(worst, record.outcome);
  return worst;
}

Injector::Counts CampaignReport::struck() const {
  Injector::Counts all{};
  for (const WorldRecord& record : records) {
    for (size_t i = 0; i < all.size(); ++i) all[i] += record.result.struck[i];
  }
  return all;
}

std::string CampaignReport::digest() const {
  sim::Trace fold;
  fold.enable(true);
  for (const WorldRecord& record : records) {
    fold.record(sim::Trace::Kind::kWorld, "world", {record.seed},
                std::as_bytes(std::span(record.result.digest)));
  }
  return fold.digest();
}

double CampaignReport::worlds_per_second() const {
  return seconds > 0 ? static_cast<double>(records.size()) / seconds : 0;
}

CampaignReport run_campaign(const CampaignOptions& options) {
  const auto start = Clock::now();
  CampaignReport report;
  report.first = options.first;
  report.records = Campaign(options).run();
  report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return report;
}

WorldRecord run_alone(uint64_t seed, const sim::FaultPlan& plan, unsigned timeout_seconds) {
  CampaignOptions options;
  options.first = options.last = seed;
  options.plan = plan;
  options.timeout_seconds = timeout_seconds;
  return run_campaign(options).records.at(0);
}

sim::FaultPlan shrink(sim::FaultPlan plan,
                      const std::function<bool(const sim::FaultPlan&)>& fails) {
  if (plan.empty() || fails({})) return {};
  // Leaves out ever smaller pieces, as long as what is left still fails.
  for (size_t pieces = 2; plan.size() >= 2;) {
    const size_t length = (plan.size() + pieces - 1) / pieces;
    bool smaller = false;
    for (size_t from = 0; from < plan.size() && !smaller; from += length) {
      const auto first = plan.begin() + static_cast<ptrdiff_t>(from);
      const auto last = plan.begin() + static_cast<ptrdiff_t>(std::min(from + length, plan.size()));
      sim::FaultPlan rest(plan.begin(), first);
      rest.insert(rest.end(), last, plan.end());
      smaller = fails(rest);
      if (smaller) plan = std::move(rest);
    }
    if (smaller) {
      pieces = std::max<size_t>(pieces - 1, 2);
    } else if (length == 1) {
      break;
    } else {
      pieces = std::min(pieces * 2, plan.size());
    }
  }
  return plan;
}

std::string replay_command(uint64_t seed, const sim::FaultPlan& plan) {
  const std::string& xen = options().xen;
  return fmt::format("ringside worlds --seeds {} --faults '{}'{}", seed, sim::to_string(plan),
                     xen.empty() ? "" : " --xen " + xen);
}

}  // namespace ringside::conformance
