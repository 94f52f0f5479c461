#include "protocols/xeniface/system_report.hpp"

#include <algorithm>
#include <array>

#include "protocols/platform/line.hpp"

namespace ringside::xeniface {

namespace {

constexpr unsigned kMaxCommitTries = 32;
constexpr size_t kMaxName = 128;

/// Writes nodes within one transaction until one fails for another reason than permissions.
class Writer {
 public:
  Writer(xenbus::Store& store, xenbus::Transaction transaction)
      : store_(store), transaction_(transaction) {}

  void text(std::string_view path, std::string_view value) {
    if (!ok(status_)) return;
    const Status status = store_.write(transaction_, path, value);
    // IFACE-071: one node that a toolstack keeps for itself is no reason to say nothing.
    if (status != Status::kAccessDenied) status_ = status;
  }
  void number(std::string_view path, uint64_t value) {
    text(path, platform::Line().number(value).view());
  }
  Status status() const { return status_; }

 private:
  xenbus::Store& store_;
  xenbus::Transaction transaction_;
  Status status_ = Status::kOk;
};

void write_nodes(Writer& writer, const SystemReport& report, uint64_t sequence) {
  std::array<char, kMaxName> name;
  const size_t length = std::min(report.os_name.size(), name.size());
  std::transform(report.os_name.begin(), report.os_name.begin() + length, name.begin(),
                 [](char c) { return c >= 0x20 && c <= 0x7e ? c : '?'; });
  writer.text("data/os_name", {name.data(), length});
  writer.text("data/os_distro", "windows");
  writer.number("data/os_majorver", report.os_major);
  writer.number("data/os_minorver", report.os_minor);
  writer.number("data/os_buildver", report.os_build);
  writer.text("attr/PVAddons/Installed", "1");
  writer.number("attr/PVAddons/MajorVersion", report.drivers.major);
  writer.number("attr/PVAddons/MinorVersion", report.drivers.minor);
  writer.number("attr/PVAddons/MicroVersion", report.drivers.micro);
  writer.number("attr/PVAddons/BuildVersion", report.drivers.build);
  writer.number("data/updated", sequence);
}

}  // namespace

Status write_report(const xenbus::Services& services, const SystemReport& report,
                    uint64_t sequence) {
  for (unsigned tries = 0; tries < kMaxCommitTries; ++tries) {
    const auto transaction = services.store.begin();
    if (!transaction) return transaction.status();
    Writer writer(services.store, *transaction);
    write_nodes(writer, report, sequence);
    if (!ok(writer.status())) {
      services.store.abort(*transaction);
      return writer.status();
    }
    const Status status = services.store.commit(*transaction);
    if (status != Status::kAgain) return status;
  }
  return Status::kAgain;
}

}  // namespace ringside::xeniface
