#pragma once

#include <string>
#include <vector>

#include "conformance/replay/replay_options.hpp"

namespace ringside::conformance {

/// One file of sample traffic: NAME.pcap, NAME.pcapng, or NAME.iolog with NAME.data.gz when
/// its data was recorded.
struct Sample {
  enum class Kind { kNet, kBlk };
  Kind kind = Kind::kNet;
  std::string path;
  std::string data;  ///< empty: none

  std::string name() const { return path.substr(path.rfind('/') + 1); }
};

/// What the table says about one replayed sample.
struct SampleRow {
  std::string name;
  std::string account;    ///< what became of each frame or request
  std::string integrity;  ///< what was compared
  Outcome outcome = Outcome::kSuccess;
  std::vector<std::string> findings;
  double seconds = 0;
};

/// Throws Problem when the folder can't be read or holds no sample.
std::vector<Sample> find_samples(const std::string& folder);

/// Replays in a process of its own: a crash is that row's outcome and no more.
SampleRow replay_sample(const Sample& sample, const ReplayOptions& options);

}  // namespace ringside::conformance
