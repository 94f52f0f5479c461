#include "conformance/replay/payload.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "conformance/report/outcome.hpp"
#include "conformance/rig/device_model.hpp"

namespace ringside::conformance {
namespace {

struct Closer {
  void operator()(gzFile_s* file) const { gzclose(file); }
};

/// Up to one byte more than `wanted`, so that a longer file is noticed.
std::vector<std::byte> read_data(const std::string& path, uint64_t wanted) {
  constexpr size_t kChunk = size_t{1} << 20;
  errno = 0;
  const std::unique_ptr<gzFile_s, Closer> file(gzopen(path.c_str(), "rb"));
  if (file == nullptr) {
    throw Problem(
        fmt::format("can't read {}: {}; name the data file that was recorded with the "
                    "log",
                    path, std::strerror(errno)));
  }
  std::vector<std::byte> data;
  while (data.size() <= wanted) {
    const size_t at = data.size();
    data.resize(at + std::min<uint64_t>(kChunk, wanted + 1 - at));
    const int count = gzread(file.get(), data.data() + at, static_cast<unsigned>(data.size() - at));
    if (count < 0) {
      throw Problem(fmt::format("{} is damaged or cut short; record it again", path));
    }
    data.resize(at + static_cast<size_t>(count));
    if (count == 0) break;
  }
  return data;
}

}  // namespace

Payload::Payload(const std::string& path, const IoLog& log) {
  uint64_t total = 0;
  for (const BlockRequest& request : log.requests) {
    offsets_.push_back(total);
    if (request.kind == BlockRequest::Kind::kWrite) total += request.length;
  }
  recorded_ = read_data(path, total);
  if (recorded_.size() == total) return;
  throw Problem(
      fmt::format("{} holds {} the {} bytes that the log's writes need; is it of "
                  "another log?",
                  path, recorded_.size() < total ? "less than" : "more than", total));
}

void Payload::fill(std::span<std::byte> data, const BlockRequest& request, size_t index,
                   uint64_t from) const {
  if (offsets_.empty()) {
    fill_pattern(data, seed_, request.offset + from, index + 1);
  } else {
    std::memcpy(data.data(), recorded_.data() + offsets_[index] + from, data.size());
  }
}

}  // namespace ringside::conformance
