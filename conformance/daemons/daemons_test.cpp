// The store against the daemons that others wrote.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "conformance/daemons/store_script.hpp"

namespace ringside::conformance {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// RINGSIDE_TRANSCRIPTS names a folder for whoever wants to read what was said.
std::vector<StoreStep> run(StoreHost& host, const std::string& other) {
  auto steps = run_store_script(read_file(RINGSIDE_DAEMONS "/operations.txt"), host, other);
  if (const char* folder = std::getenv("RINGSIDE_TRANSCRIPTS")) {
    std::ofstream out(fmt::format("{}/{}-for-{}.txt", folder, host.name(), other));
    for (const StoreStep& step : steps) {
      out << step.section << ": " << step.operation << "\n    " << step.outcome << "\n";
    }
  }
  return steps;
}

/// Where a daemon is known to differ, and why that is right.
class Differences {
 public:
  explicit Differences(const std::string& daemon) {
    for (const auto& group :
         nlohmann::json::parse(read_file(RINGSIDE_DAEMONS "/differences.json"))) {
      if (group.at("daemon") != daemon) continue;
      for (const auto& step : group.at("steps")) {
        const std::string section = step.at("section");
        const std::string operation = step.at("operation");
        listed_.push_back(
            {{section, operation, step.at("ringside")}, {section, operation, step.at("daemon")}});
      }
    }
  }

  bool has(const StoreStep& ours, const StoreStep& theirs) {
    for (Pair& pair : listed_) {
      if (pair.ours == ours && pair.theirs == theirs) return pair.met = true;
    }
    return false;
  }

  std::vector<std::string> not_met() const {
    std::vector<std::string> all;
    for (const Pair& pair : listed_) {
      if (!pair.met) all.push_back(pair.ours.section + ": " + pair.ours.operation);
    }
    return all;
  }

 private:
  struct Pair {
    StoreStep ours;
    StoreStep theirs;
    bool met = false;
  };
  std::vector<Pair> listed_;
};

class StoreDaemons : public testing::TestWithParam<const char*> {};

TEST_P(StoreDaemons, AnswerAlike) {
  std::unique_ptr<StoreHost> real;
  try {
    real = real_store_host(GetParam(), RINGSIDE_STORE_SHIM);
  } catch (const NotInstalled& e) {
    GTEST_SKIP() << e.what();
  }
  const auto theirs = run(*real, GetParam());
  const auto ours = run(*embedded_store_host(), GetParam());
  ASSERT_EQ(ours.size(), theirs.size());
  EXPECT_GT(ours.size(), 400u);
  Differences differences(GetParam());
  for (size_t i = 0; i < ours.size(); ++i) {
    if (ours[i] == theirs[i] || differences.has(ours[i], theirs[i])) continue;
    ADD_FAILURE() << ours[i].section << ": " << ours[i].operation
                  << "\n  ringside: " << ours[i].outcome << "\n  " << GetParam() << ": "
                  << theirs[i].outcome;
  }
  EXPECT_EQ(differences.not_met(), std::vector<std::string>()) << "listed, but alike";
}

/// All of test-xenstore, and its random mix, against the store of `host`.
void pass_xens_own_test(const StoreHost& host) {
  constexpr const char* kProgram = "/usr/lib/xen-4.17/bin/test-xenstore";
  if (access(kProgram, X_OK) != 0) {
    GTEST_SKIP() << kProgram << " is not installed (package xen-utils-4.17)";
  }
  for (const char* arguments : {"-i 10", "-r 1"}) {
    const std::string command = fmt::format("XENSTORED_PATH={} timeout 60 {} {} >/dev/null 2>&1",
                                            host.socket(), kProgram, arguments);
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
  }
}

TEST_P(StoreDaemons, PassXensOwnTest) {
  try {
    pass_xens_own_test(*real_store_host(GetParam(), RINGSIDE_STORE_SHIM));
  } catch (const NotInstalled& e) {
    GTEST_SKIP() << e.what();
  }
}

TEST(EmbeddedStore, PassesXensOwnTest) { pass_xens_own_test(*embedded_store_host()); }

INSTANTIATE_TEST_SUITE_P(Real, StoreDaemons, testing::Values("xenstored", "oxenstored"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace ringside::conformance
