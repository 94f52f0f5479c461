#include "conformance/report/catalogue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

constexpr size_t kDigits = 3;

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The length of WORD<sep>[WORD<sep>...]NNN at the start of `text`; 0 when there is none.
size_t id_length(std::string_view text, char separator) {
  size_t at = 0;
  for (bool any_word = false;; any_word = true) {
    size_t end = at;
    while (end < text.size() && is_upper(text[end])) ++end;
    if (end == at) {
      while (end < text.size() && is_digit(text[end])) ++end;
      return any_word && end - at == kDigits ? end : 0;
    }
    if (end == text.size() || text[end] != separator) return 0;
    at = end + 1;
  }
}

RuleStatus parse_status(const std::string& text, const std::string& id) {
  if (text == "covered") return RuleStatus::kCovered;
  if (text == "open") return RuleStatus::kOpen;
  if (text == "untestable") return RuleStatus::kUntestable;
  throw Problem(
      fmt::format("rule {}: status \"{}\" is unknown; use covered, open or untestable", id, text));
}

Rule parse_rule(const nlohmann::json& entry, std::string_view file) {
  Rule rule;
  try {
    rule.id = entry.at("id").get<std::string>();
    rule.statement = entry.at("statement").get<std::string>();
    rule.source = entry.at("source").get<std::string>();
    rule.status = parse_status(entry.at("status").get<std::string>(), rule.id);
    rule.note = entry.value("note", "");
  } catch (const nlohmann::json::exception& e) {
    throw Problem(fmt::format("rules/{}.json: an entry is incomplete: {}", file, e.what()));
  }
  if (id_length(rule.id, '-') != rule.id.size()) {
    throw Problem(
        fmt::format("rules/{}.json: \"{}\" is no rule id; write FAMILY-NNN", file, rule.id));
  }
  return rule;
}

size_t common_prefix(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                             a.begin());
}

}  // namespace

std::string_view to_string(RuleStatus status) {
  switch (status) {
    case RuleStatus::kCovered: return "covered";
    case RuleStatus::kOpen: return "open";
    case RuleStatus::kUntestable: return "untestable";
  }
  return "open";
}

Catalogue Catalogue::parse(std::span<const RuleFile> files) {
  Catalogue catalogue;
  for (const RuleFile& file : files) {
    const auto entries = nlohmann::json::parse(file.text, nullptr, /*allow_exceptions=*/false);
    if (!entries.is_array()) {
      throw Problem(fmt::format("rules/{}.json is not a JSON array of rules", file.name));
    }
    for (const auto& entry : entries) {
      Rule rule = parse_rule(entry, file.name);
      if (catalogue.find(rule.id) != nullptr) {
        throw Problem(fmt::format("rules/{}.json: {} is used twice", file.name, rule.id));
      }
      catalogue.rules_.push_back(std::move(rule));
    }
  }
  return catalogue;
}

const Catalogue& Catalogue::embedded() {
  static const Catalogue catalogue = parse(embedded_rule_files());
  return catalogue;
}

const Rule* Catalogue::find(std::string_view id) const {
  const auto found =
      std::find_if(rules_.begin(), rules_.end(), [id](const Rule& rule) { return rule.id == id; });
  return found == rules_.end() ? nullptr : &*found;
}

std::vector<std::string> Catalogue::similar(std::string_view id) const {
  constexpr size_t kMost = 3;
  std::string wanted(id);
  for (char& c : wanted) {
    c = c == '_' ? '-' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  std::vector<const Rule*> by_likeness;
  for (const Rule& rule : rules_) {
    if (common_prefix(rule.id, wanted) > 0) by_likeness.push_back(&rule);
  }
  std::stable_sort(by_likeness.begin(), by_likeness.end(), [&](const Rule* a, const Rule* b) {
    return common_prefix(a->id, wanted) > common_prefix(b->id, wanted);
  });
  std::vector<std::string> ids;
  for (const Rule* rule : by_likeness) {
    if (ids.size() < kMost) ids.push_back(rule->id);
  }
  return ids;
}

std::vector<std::string> rule_ids_of_test(std::string_view test_name) {
  std::vector<std::string> ids;
  while (const size_t length = id_length(test_name, '_')) {
    std::string id(test_name.substr(0, length));
    std::replace(id.begin(), id.end(), '_', '-');
    ids.push_back(std::move(id));
    test_name.remove_prefix(length);
    if (!test_name.starts_with('_')) break;
    test_name.remove_prefix(1);
  }
  return ids;
}

}  // namespace ringside::conformance
