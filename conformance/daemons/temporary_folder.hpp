#pragma once

#include <string>

namespace ringside::conformance {

/// A fresh folder below the system's for temporary files, removed with all in it.
class TemporaryFolder {
 public:
  /// Throws std::system_error when none can be made.
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace ringside::conformance
