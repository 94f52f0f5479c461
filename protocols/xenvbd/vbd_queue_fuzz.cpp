#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <vector>

#include "protocols/platform/xen.hpp"
#include "protocols/xenbus/bus_fuzz.hpp"
#include "protocols/xenvbd/queue.hpp"

using namespace ringside;

// One queue whose back end answers whatever the input says. Aborts when a request ends twice or
// never, when a page of the client's is granted behind its end, when a peer that isn't trusted is
// granted more than the sectors that move, or when anything is kept. The number of hostile answers
// is printed at the end.
namespace {

using xenvbd::Operation;

constexpr uint64_t kSectors = 4096;
constexpr size_t kClientPages = 64;
constexpr size_t kMostSegments = 48;
constexpr std::byte kSecret{0x5e};

uint64_t hostile_answers = 0;

class Driven final : xenvbd::Client, xenvbd::Queue::Owner {
 public:
  explicit Driven(FuzzInput input) : input_(input) {
    for (platform::Page& page : pages_) {
      page = *bus_.allocate_page();
      std::memset(page.address, static_cast<int>(kSecret), platform::kPageSize);
    }
    const uint8_t features = input_.byte();
    disk_ = {.sectors = kSectors,
             .sector_size = (features & 1) != 0 ? 4096u : 512u,
             .read_only = (features & 2) != 0 && (features & 4) != 0,
             .barrier = (features & 4) != 0,
             .flush_cache = (features & 8) != 0,
             .discard = {.supported = (features & 16) != 0, .secure = true, .granularity = 4096},
             .persistent = (features & 32) != 0};
    terms_.persistent = (features & 64) != 0;
    terms_.trusted = (features & 128) == 0;
    constexpr std::array<uint32_t, 5> kIndirect{0, 8, 16, 256, 4096};
    const uint8_t sizes = input_.byte();
    disk_.max_indirect_segments = kIndirect[sizes % kIndirect.size()];
    terms_.ring_page_order = sizes / kIndirect.size() % (xenvbd::kMaxRingPageOrder + 1);
    queue_.emplace(services_, 0, static_cast<xenvbd::Client&>(*this),
                   static_cast<xenvbd::Queue::Owner&>(*this));
    CHECK(ok(queue_->create_parts()));
  }

  void run() {
    connect();
    while (!input_.over()) step();
    bus_.fail_in = 0;
    disconnect();
    bus_.let_go();
    bus_.fire_timers();
    queue_->close();
    CHECK(std::none_of(jobs_.begin(), jobs_.end(), [](const Job& job) { return job.busy; }));
    queue_.reset();
    bus_.let_go();
    CHECK(bus_.channels.empty());
    for (const platform::Page& page : pages_) bus_.release_page(page);
    CHECK(bus_.pages == 0 && bus_.blocks == 0 && bus_.event_references == 0);
    for (const FakeBus::Grant& grant : bus_.grants) CHECK(!grant.live);
  }

 private:
  struct Job {
    xenvbd::Request request;
    std::vector<xenvbd::Segment> segments;
    bool busy = false;
  };
  struct Wire {
    uint64_t id = 0;
    uint8_t operation = 0;
  };

  void connect() {
    connected_ = false;
    wires_.clear();
    bus_.nodes.clear();
    if (!ok(queue_->prepare(7, terms_))) return disconnect();
    CHECK(ok(queue_->publish(xenbus::Node(bus_, xenbus::kNoTransaction, "q"))));
    const bool single = terms_.ring_page_order == 0;
    ring_ = bus_.granted_page(bus_.nodes.at(single ? "q/ring-ref" : "q/ring-ref0"));
    size_ = queue_->ring_size();
    seen_ = 0;
    if (!ok(queue_->start(disk_))) return disconnect();
    connected_ = true;
    look();
  }
  void disconnect() {
    queue_->stop();
    queue_->disconnect();
    connected_ = false;
  }
  uint32_t& index(size_t which) {
    return reinterpret_cast<uint32_t*>(ring_)[which];  // req_prod, req_event, rsp_prod, rsp_event
  }
  std::byte* slot(uint32_t number) { return ring_ + 64 + number % size_ * sizeof(blkif_request_t); }

  void step() {
    const uint8_t what = input_.byte();
    if (failed_ || (!connected_ && what % 2 == 0)) {
      disconnect();
      if (std::exchange(failed_, false) && what % 4 == 0) queue_->close();
      return connect();
    }
    act(what);
    if (connected_ && !failed_) look();
  }
  void act(uint8_t what) {
    switch (what % 10) {
      case 0:
      case 1: return submit();
      case 2: return answer(1 + what / 10, false);
      case 3: return answer(1 + what / 10, true);
      case 4:
        for (const FakeBus::Channel* channel : std::vector(bus_.channels)) channel->handler();
        return;
      case 5: return bus_.fire_timers();
      case 6: return bus_.hold(input_.word(), (what & 64) != 0);
      case 7: return queue_->kick();
      case 8:
        if (connected_ && what > 200) index(2) += input_.byte() - 128u;
        return submit();
      default: return seldom(what / 10);
    }
  }
  void seldom(unsigned what) {
    switch (what % 8) {
      case 0: return disconnect();
      case 1: bus_.fail_in = input_.byte(); return;
      case 2: return bus_.let_go();
      case 3: return queue_->drain();
      case 4:
        if (connected_) queue_->resize(kSectors / 2 + input_.word() % (kSectors / 2));
        return;
      case 5: again_ = !again_; return;
      case 6: disconnect(); return queue_->close();
      default: scribble();
    }
  }

  void submit() {
    const auto job =
        std::find_if(jobs_.begin(), jobs_.end(), [](const Job& one) { return !one.busy; });
    if (job == jobs_.end()) return;
    shape(*job);
    job->busy = true;
    if (!ok(queue_->submit(job->request))) job->busy = false;
  }
  void shape(Job& job) {
    const uint8_t what = input_.byte();
    job.request = {};
    job.segments.clear();
    xenvbd::Request& request = job.request;
    request.operation = static_cast<Operation>(what < 200 ? what % 2 : what % 4);
    request.sector = input_.word() % 520 * 8u;
    request.secure = (what & 8) != 0;
    if (request.operation == Operation::kFlush) return;
    if (request.operation == Operation::kDiscard) {
      request.sectors = input_.word() % 300;
      return;
    }
    const uint8_t form = input_.byte();
    const uint32_t more = form / 4;
    switch (form % 4) {
      case 0: break;
      case 1: add(job, more % 8 * 512, 4096 - more % 8 * 512); break;
      case 2:
        add(job, 1 + more * 8, 1024 + more);
        add(job, 3, 3072 - more);
        break;
      default: add(job, input_.word(), input_.word());
    }
    const size_t whole = form % 4 == 0 ? 1 + more % kMostSegments : more % 3;
    for (size_t i = 0; i < whole; ++i) add(job, 0, platform::kPageSize);
    uint32_t bytes = 0;
    for (const xenvbd::Segment& segment : job.segments) bytes += segment.length;
    request.segments = job.segments;
    request.sectors = bytes / xenvbd::kSectorBytes;
  }
  /// A page that no other request under way has.
  void add(Job& job, uint32_t offset, uint32_t length) {
    for (const platform::Page& page : pages_) {
      const bool free = std::none_of(jobs_.begin(), jobs_.end(), [&](const Job& other) {
        return (other.busy || &other == &job) && find(other, page.frame) != nullptr;
      });
      if (free) return job.segments.push_back({page, offset, length});
    }
  }
  static const xenvbd::Segment* find(const Job& job, platform::Frame frame) {
    for (const xenvbd::Segment& segment : job.segments) {
      if (segment.page.frame == frame) return &segment;
    }
    return nullptr;
  }

  /// What came onto the ring: is it what may be there?
  void look() {
    for (; seen_ != index(0); ++seen_) {
      blkif_request_t request;
      std::memcpy(&request, slot(seen_), sizeof(request));
      wires_.push_back({request.id, request.operation});
      if (request.operation == BLKIF_OP_INDIRECT) {
        check_indirect(seen_);
      } else if (request.operation == BLKIF_OP_READ || request.operation == BLKIF_OP_WRITE) {
        CHECK(request.nr_segments > 0 && request.nr_segments <= xenvbd::kMaxDirectSegments);
        check_data(request.operation, request.sector_number,
                   std::span(request.seg, request.nr_segments));
      } else {
        CHECK(request.operation == BLKIF_OP_FLUSH_DISKCACHE ||
              request.operation == BLKIF_OP_WRITE_BARRIER || request.operation == BLKIF_OP_DISCARD);
      }
    }
  }
  /// All that was put, before the peer writes over it.
  void show() {
    queue_->kick();
    if (connected_) look();
  }
  void check_indirect(uint32_t number) {
    blkif_request_indirect_t request;
    std::memcpy(&request, slot(number), sizeof(request));
    CHECK(request.nr_segments > 0 && request.nr_segments <= disk_.max_indirect_segments);
    std::vector<blkif_request_segment> segments(request.nr_segments);
    for (size_t i = 0; i < segments.size(); ++i) {
      const std::byte* page = bus_.granted_page(request.indirect_grefs[i / 512]);
      std::memcpy(&segments[i], page + i % 512 * sizeof(segments[i]), sizeof(segments[i]));
    }
    check_data(request.indirect_op, request.sector_number, segments);
  }
  void check_data(uint8_t operation, uint64_t sector,
                  std::span<const blkif_request_segment> segments) {
    for (const blkif_request_segment& segment : segments) {
      CHECK(segment.first_sect <= segment.last_sect && segment.last_sect < 8);
      sector += segment.last_sect - segment.first_sect + 1u;
      check_segment(operation, segment);
    }
    CHECK(sector <= kSectors);
  }
  void check_segment(uint8_t operation, const blkif_request_segment& segment) {
    const std::byte* page = bus_.granted_page(segment.gref);
    const FakeBus::Grant& grant = bus_.grants[segment.gref];
    const bool kept = terms_.persistent && disk_.persistent;
    const bool read_only = grant.access == xenbus::Access::kReadOnly;
    CHECK(read_only == (!kept && operation == BLKIF_OP_WRITE));
    const uint32_t from = segment.first_sect * 512u;
    const uint32_t end = segment.last_sect * 512u + 512u;
    for (const Job& job : jobs_) {
      const xenvbd::Segment* own = job.busy ? find(job, grant.frame) : nullptr;
      if (own != nullptr) CHECK(from >= own->offset && end <= own->offset + own->length);
    }
    const bool clients = std::any_of(pages_.begin(), pages_.end(), [&](const platform::Page& one) {
      return one.frame == grant.frame;
    });
    CHECK(!clients || (terms_.trusted && !kept));
    if (terms_.trusted) return;
    for (uint32_t i = 0; i < platform::kPageSize; ++i) {
      const bool moves = operation == BLKIF_OP_WRITE && i >= from && i < end;
      CHECK(page[i] == (moves ? kSecret : std::byte{0}));
    }
  }

  void answer(unsigned count, bool hostile) {
    if (!connected_) return;
    show();
    for (; count > 0 && !wires_.empty(); --count) {
      const size_t which = input_.byte() % wires_.size();
      const Wire wire = wires_[which];
      wires_.erase(wires_.begin() + static_cast<ptrdiff_t>(which));
      blkif_response_t response{};
      response.id = wire.id;
      response.operation = wire.operation;
      response.status = BLKIF_RSP_OKAY;
      if (hostile) {
        ++hostile_answers;
        response.status = static_cast<int16_t>(static_cast<int8_t>(input_.byte()) % 4);
        const uint8_t how = input_.byte();
        if (how > 200) response.id = uint64_t{input_.word()} << 16 | input_.word();
        if (how % 8 == 1) response.id ^= uint64_t{1} << how % 64;
        if (how % 8 == 2) wires_.push_back(wire);  // and once more
      }
      std::memcpy(slot(index(2)), &response, sizeof(response));
      ++index(2);
    }
  }
  /// Over everything that it may write.
  void scribble() {
    const uint8_t with = input_.byte();
    show();
    for (const FakeBus::Grant& grant : bus_.grants) {
      std::byte* page = grant.live ? bus_.at.at(grant.frame) : nullptr;
      const bool ring = page != nullptr && connected_ && page >= ring_ &&
                        page < ring_ + (platform::kPageSize << terms_.ring_page_order);
      if (page == nullptr || ring || grant.access == xenbus::Access::kReadOnly) continue;
      std::memset(page, with, platform::kPageSize);
      ++hostile_answers;
    }
  }

  void completed(xenvbd::Queue&, xenvbd::Request& request, Status) override {
    const auto job = std::find_if(jobs_.begin(), jobs_.end(),
                                  [&](const Job& one) { return &one.request == &request; });
    CHECK(job != jobs_.end() && job->busy);
    for (const xenvbd::Segment& segment : job->segments) {
      CHECK(bus_.granted[segment.page.frame] == 0);
      // What was read is no secret; what is written from there later is one again.
      std::memset(segment.page.address, static_cast<int>(kSecret), platform::kPageSize);
    }
    job->busy = false;
    if (again_ && !input_.over()) submit();
  }
  void disk_changed(const xenvbd::Disk&) override {}
  void disk_lost() override {}
  void queue_failed(Status) override { failed_ = true; }
  void queue_drained() override {}
  void queue_stranded(xenvbd::RequestList&) override {}

  FuzzInput input_;
  FakeBus bus_;
  xenbus::Services services_{bus_, bus_, bus_, bus_};
  xenvbd::Disk disk_;
  xenvbd::Terms terms_;
  std::optional<xenvbd::Queue> queue_;
  std::array<platform::Page, kClientPages> pages_;
  std::array<Job, 40> jobs_;
  std::vector<Wire> wires_;
  std::byte* ring_ = nullptr;
  uint32_t size_ = 0;
  uint32_t seen_ = 0;
  bool connected_ = false;
  bool failed_ = false;
  bool again_ = false;
};

void report() {
  std::fprintf(stderr, "%llu hostile answers\n", static_cast<unsigned long long>(hostile_answers));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  [[maybe_unused]] static const int registered = std::atexit(report);
  Driven(FuzzInput{data, size}).run();
  return 0;
}
