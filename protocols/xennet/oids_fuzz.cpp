#include <cstring>
#include <memory>

#include "protocols/platform/fakes_fuzz.hpp"
#include "protocols/xennet/oids.hpp"

using namespace ringside;

// A protocol that queries and sets whatever the input says, in buffers as long as it says.
// Aborts when what comes into force makes no sense, or an answer claims more than its buffer.
namespace {

struct FuzzHost final : xennet::Oids::Host {
  xennet::Statistics statistics() override { return {}; }
  bool link_is_up() override { return up; }
  uint16_t mtu() override { return 1500; }
  xennet::MacAddress permanent_address() override { return {2, 0, 0, 0, 0, 1}; }
  xennet::NdisStatus set_power(xennet::PowerState state) override {
    CHECK(state >= xennet::PowerState::kD0 && state <= xennet::PowerState::kD3);
    up = state == xennet::PowerState::kD0;
    return xennet::NdisStatus::kSuccess;
  }
  void configured(const xennet::Configuration& now) override {
    CHECK((now.filter & ~xennet::kFilters) == 0);
    CHECK(now.multicast_count <= now.multicast.size());
    for (size_t i = 0; i < now.multicast_count; ++i) CHECK(now.multicast[i][0] & 1);
    for (const uint8_t directions : {now.offloads.ip_v4, now.offloads.tcp_v4, now.offloads.udp_v4,
                                     now.offloads.tcp_v6, now.offloads.udp_v6}) {
      CHECK(directions <= 3);
    }
    const xennet::ReceiveScaling& scaling = now.scaling;
    CHECK(scaling.key_size <= scaling.key.size() && scaling.table_size <= scaling.table.size());
    CHECK(!scaling.spread ||
          (scaling.hash_types != 0 && scaling.key_size != 0 && scaling.table_size != 0 &&
           (scaling.table_size & (scaling.table_size - 1)) == 0));
  }
  void indicate(xennet::NdisStatus, std::span<const std::byte> what) override {
    CHECK(what.size() == sizeof(xennet::Offload));
  }
  bool up = true;
};

/// One request of the input: kind, OID, length, and the buffer's bytes.
struct Step {
  uint8_t set;
  uint8_t known;  ///< 0: any OID; else one of the list
  uint16_t length;
  uint32_t oid;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzHost host;
  xennet::Oids oids(host);
  oids.start({});
  const auto list = xennet::Oids::supported();
  while (size >= sizeof(Step)) {
    Step step;
    std::memcpy(&step, data, sizeof(step));
    data += sizeof(step);
    size -= sizeof(step);
    const size_t length = step.length % 2048;
    // As long as it says and no longer, for the sanitizer to see what leaves it.
    const auto buffer = std::make_unique<std::byte[]>(length);
    const size_t given = length < size ? length : size;
    if (given != 0) std::memcpy(buffer.get(), data, given);
    data += given;
    size -= given;
    xennet::OidRequest request{
        .oid = step.known == 0 ? xennet::Oid{step.oid} : list[step.oid % list.size()],
        .buffer = {buffer.get(), length}};
    const xennet::NdisStatus status = (step.set & 1) != 0 ? oids.set(request) : oids.query(request);
    CHECK(request.done <= length);
    CHECK(status != xennet::NdisStatus::kBufferTooShort || request.needed > length);
  }
  return 0;
}
