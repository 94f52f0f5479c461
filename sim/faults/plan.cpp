#include "sim/faults/plan.hpp"

#include <algorithm>
#include <charconv>

namespace ringside::sim {
namespace {

/// How faults of a kind are drawn: none of the limits means that the kind makes no use of it.
struct Row {
  FaultKind kind;
  std::string_view name;
  Nanoseconds longest = 0;  ///< span
  uint64_t largest = 0;     ///< amount
};

constexpr Nanoseconds kMicrosecond = 1'000;

constexpr std::array<Row, kFaultKinds> kRows{{
    {FaultKind::kEventDelay, "event-delay", 500 * kMicrosecond, 100 * kMicrosecond},
    {FaultKind::kEventMerge, "event-merge", 300 * kMicrosecond, 0},
    {FaultKind::kEventLost, "event-lost", 300 * kMicrosecond, 0},
    {FaultKind::kBackendCrash, "backend-crash", 500 * kMicrosecond, 0},
    {FaultKind::kBackendSlow, "backend-slow", 500 * kMicrosecond, 50 * kMicrosecond},
    {FaultKind::kBackendStuck, "backend-stuck", 500 * kMicrosecond, 0},
    {FaultKind::kStoreStuck, "store-stuck", 300 * kMicrosecond, 0},
    {FaultKind::kStoreReset, "store-reset", 0, 0},
    {FaultKind::kAllocation, "allocation", 0, 40},
    {FaultKind::kGrantsTaken, "grants-taken", 300 * kMicrosecond, 0},
    {FaultKind::kPortsTaken, "ports-taken", 300 * kMicrosecond, 0},
    {FaultKind::kRingGarbage, "ring-garbage", 100 * kMicrosecond, 0},
    {FaultKind::kTornMemory, "torn-memory", 100 * kMicrosecond, 0},
    {FaultKind::kSuspend, "suspend", 300 * kMicrosecond, 0},
    {FaultKind::kMigration, "migration", 300 * kMicrosecond, 8},
    {FaultKind::kSave, "save", 5'000 * kMicrosecond, 8},
    {FaultKind::kPowerCut, "power-cut", 500 * kMicrosecond, 0},
}};

constexpr std::array<FaultKind, kFaultKinds> kKinds = [] {
  std::array<FaultKind, kFaultKinds> kinds{};
  for (size_t i = 0; i < kinds.size(); ++i) kinds[i] = kRows[i].kind;
  return kinds;
}();

static_assert(std::is_sorted(kKinds.begin(), kKinds.end()), "rows in the enumeration's order");

const Row& row_of(FaultKind kind) { return kRows[static_cast<size_t>(kind)]; }

/// Takes a number and the mark before it off the front of `text`.
template <typename Number>
bool take(std::string_view& text, char mark, Number& number) {
  if (text.empty() || text.front() != mark) return false;
  const char* first = text.data() + 1;
  const auto [end, error] = std::from_chars(first, text.data() + text.size(), number);
  if (error != std::errc{} || end == first) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

std::optional<Fault> parse_fault(std::string_view text) {
  const size_t at = text.find('@');
  if (at == std::string_view::npos) return {};
  const auto kind = fault_kind(text.substr(0, at));
  if (!kind) return {};
  Fault fault{.kind = *kind};
  text.remove_prefix(at);
  const bool whole = take(text, '@', fault.at) && take(text, '+', fault.span) &&
                     take(text, '#', fault.target) && take(text, 'x', fault.amount);
  if (!whole || !text.empty()) return {};
  return fault;
}

}  // namespace

std::string_view to_string(FaultKind kind) { return row_of(kind).name; }

std::optional<FaultKind> fault_kind(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.kind;
  }
  return {};
}

std::string to_string(const Fault& fault) {
  return std::string(to_string(fault.kind)) + '@' + std::to_string(fault.at) + '+' +
         std::to_string(fault.span) + '#' + std::to_string(fault.target) + 'x' +
         std::to_string(fault.amount);
}

std::string to_string(std::span<const Fault> plan) {
  if (plan.empty()) return "none";
  std::string text;
  for (const Fault& fault : plan) text += (text.empty() ? "" : ",") + to_string(fault);
  return text;
}

std::optional<FaultPlan> parse_plan(std::string_view text) {
  FaultPlan plan;
  if (text == "none") return plan;
  for (size_t from = 0; from <= text.size();) {
    const size_t end = std::min(text.find(',', from), text.size());
    const auto fault = parse_fault(text.substr(from, end - from));
    if (!fault) return {};
    plan.push_back(*fault);
    from = end + 1;
  }
  return plan;
}

FaultPlan draw_plan(Random& random, std::span<const FaultKind> kinds, size_t most,
                    Nanoseconds horizon) {
  FaultPlan plan;
  if (kinds.empty()) return plan;
  const uint64_t count = random.below(most + 1);
  for (uint64_t i = 0; i < count; ++i) {
    Fault fault{.kind = kinds[random.below(kinds.size())]};
    const Row& row = row_of(fault.kind);
    // Worlds are of all lengths: most faults come early.
    fault.at = random.below(1 + random.below(horizon));
    if (row.longest > 0) fault.span = 1 + random.below(row.longest);
    if (row.largest > 0) fault.amount = 1 + random.below(row.largest);
    fault.target = static_cast<unsigned>(random.below(8));
    plan.push_back(fault);
  }
  std::stable_sort(plan.begin(), plan.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
  return plan;
}

std::span<const FaultKind> all_fault_kinds() { return kKinds; }

}  // namespace ringside::sim
