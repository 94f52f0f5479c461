#include "conformance/replay/iolog.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

constexpr std::string_view kVersion2 = "fio version 2 iolog";
constexpr size_t kMostFields = 4;

class Parser {
 public:
  Parser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  IoLog run() {
    require_version();
    IoLog log;
    while (!text_.empty()) take(log);
    if (log.requests.empty()) {
      throw Problem(fmt::format("{} holds no requests; nothing to replay", name_));
    }
    return log;
  }

 private:
  std::string_view next_line() {
    const size_t end = std::min(text_.find('\n'), text_.size());
    std::string_view line = text_.substr(0, end);
    text_.remove_prefix(std::min(end + 1, text_.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number_;
    return line;
  }

  void require_version() {
    const std::string_view first = next_line();
    if (first == kVersion2) return;
    if (first.starts_with("fio version ")) {
      throw Problem(
          fmt::format("{} is \"{}\", only version 2 is read; record it with fio's "
                      "--write_iolog of version 2 or drop the time stamps",
                      name_, first.substr(0, 40)));
    }
    throw Problem(
        fmt::format("{} is not a fio I/O log; its first line must be \"{}\"", name_, kVersion2));
  }

  [[noreturn]] void refuse(std::string_view line, std::string_view why) const {
    throw Problem(fmt::format("{} line {} (\"{}\"): {}", name_, number_, line.substr(0, 60), why));
  }

  void take(IoLog& log) {
    const std::string_view line = next_line();
    if (line.empty()) return;
    const auto fields = split(line);
    if (fields.size() < 2) refuse(line, "expected FILE ACTION [OFFSET LENGTH]");
    if (device_.empty()) device_ = fields[0];
    if (fields[0] != device_) {
      refuse(line, fmt::format("a second device; keep only the lines of {}", device_));
    }
    const std::string_view action = fields[1];
    if (action == "add" || action == "open" || action == "close") return;
    if (fields.size() != kMostFields) refuse(line, "expected FILE ACTION OFFSET LENGTH");
    BlockRequest request{
        .offset = number(line, fields[2]), .length = number(line, fields[3]), .line = number_};
    if (action == "wait") return;
    if (action == "sync" || action == "datasync") {
      request.kind = BlockRequest::Kind::kSync;
      request.offset = request.length = 0;
    } else {
      request.kind = kind(line, action);
      check_extent(line, request);
    }
    log.requests.push_back(request);
  }

  std::vector<std::string_view> split(std::string_view line) const {
    std::vector<std::string_view> fields;
    while (!line.empty()) {
      const size_t start = std::min(line.find_first_not_of(" \t"), line.size());
      line.remove_prefix(start);
      const size_t end = std::min(line.find_first_of(" \t"), line.size());
      if (end != 0) fields.push_back(line.substr(0, end));
      line.remove_prefix(end);
    }
    return fields;
  }

  uint64_t number(std::string_view line, std::string_view field) const {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(field.begin(), field.end(), value);
    if (error != std::errc{} || end != field.end()) {
      refuse(line, fmt::format("\"{}\" is no number of bytes", field));
    }
    return value;
  }

  BlockRequest::Kind kind(std::string_view line, std::string_view action) const {
    if (action == "read") return BlockRequest::Kind::kRead;
    if (action == "write") return BlockRequest::Kind::kWrite;
    if (action == "trim") return BlockRequest::Kind::kTrim;
    refuse(line, fmt::format("unknown action \"{}\"; known are add, open, close, read, write, "
                             "sync, datasync, trim and wait",
                             action));
  }

  void check_extent(std::string_view line, const BlockRequest& request) const {
    if (request.length == 0) refuse(line, "the length is zero");
    if (request.offset % kSectorSize != 0 || request.length % kSectorSize != 0) {
      refuse(line, "offset and length must be multiples of 512");
    }
    if (request.end() < request.offset) refuse(line, "offset and length overflow");
  }

  std::string_view text_;
  const std::string& name_;
  std::string_view device_;
  unsigned number_ = 0;
};

}  // namespace

uint64_t IoLog::extent() const {
  uint64_t extent = 0;
  for (const BlockRequest& request : requests) extent = std::max(extent, request.end());
  return extent;
}

IoLog IoLog::parse(std::string_view text, const std::string& name) {
  return Parser(text, name).run();
}

IoLog IoLog::read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad() || (text.empty() && file.fail() && !file.eof())) {
    throw Problem(fmt::format("can't read {}; name a fio I/O log (version 2)", path));
  }
  return parse(text, path);
}

void require_fits(const IoLog& log, uint64_t device_bytes, const std::string& name) {
  for (const BlockRequest& request : log.requests) {
    if (request.end() <= device_bytes) continue;
    throw Problem(fmt::format(
        "{} line {}: the request ends at byte {}, past the end of the device ({} bytes); "
        "use a larger image",
        name, request.line, request.end(), device_bytes));
  }
}

}  // namespace ringside::conformance
