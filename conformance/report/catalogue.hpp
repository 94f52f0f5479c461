#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringside::conformance {

enum class RuleStatus {
  kCovered,     ///< a test carries its id
  kOpen,        ///< not covered yet
  kUntestable,  ///< the note says why
};

std::string_view to_string(RuleStatus status);

/// One citable rule of the wire protocols.
struct Rule {
  std::string id;         ///< RING-008, NETIF-TX-017
  std::string statement;  ///< what must hold
  std::string source;     ///< header or document, and where in it
  RuleStatus status = RuleStatus::kOpen;
  std::string note;

  /// What comes before the first dash: RING, NETIF.
  std::string_view family() const { return std::string_view(id).substr(0, id.find('-')); }
};

/// One file of conformance/rules as built into the program.
struct RuleFile {
  std::string_view name;
  std::string_view text;
};

/// The files that the build embedded (generated, see report/embed.cmake).
std::vector<RuleFile> embedded_rule_files();

/// All rules, ordered by file name and then as written.
class Catalogue {
 public:
  /// Throws Problem when a file is no array of rules, or an id is malformed or used twice.
  static Catalogue parse(std::span<const RuleFile> files);
  static const Catalogue& embedded();

  std::span<const Rule> rules() const { return rules_; }
  /// nullptr when there is none.
  const Rule* find(std::string_view id) const;
  /// The ids most like `id`, for a helpful message.
  std::vector<std::string> similar(std::string_view id) const;

 private:
  std::vector<Rule> rules_;
};

/// The rule ids at the start of a test's name: NETIF_TX_017_TotalComesFirst -> NETIF-TX-017.
/// Several ids may follow each other; empty when there is none.
std::vector<std::string> rule_ids_of_test(std::string_view test_name);

}  // namespace ringside::conformance
