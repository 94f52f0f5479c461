#include "protocols/xenbus/foreign_maps.hpp"

namespace ringside::xenbus {

/// One call's pages, at consecutive frame numbers.
class ForeignMaps::Map final : public ForeignMap {
 public:
  Map(ForeignMaps& maps, uint32_t restores) : maps_(maps), restores_(restores) {}
  ~Map();

  Status start(DomainId peer, std::span<const GrantRef> refs, Access access);
  void keep(platform::Box<Map> self) { self_ = std::move(self); }
  uint32_t count() const override { return mapped_; }
  std::byte* page(uint32_t index) const override { return pages_[index].address; }
  void destroy() override { const platform::Box<Map> self = std::move(self_); }

 private:
  struct Page {
    std::byte* address = nullptr;
    uint32_t handle = 0;
  };

  bool unmap_all();

  ForeignMaps& maps_;
  uint32_t restores_;
  platform::Frame first_ = 0;
  uint32_t reserved_ = 0;
  uint32_t mapped_ = 0;
  platform::Array<Page> pages_;
  platform::Box<Map> self_;
};

Status ForeignMaps::Map::start(DomainId peer, std::span<const GrantRef> refs, Access access) {
  const auto count = static_cast<uint32_t>(refs.size());
  auto pages = platform::Array<Page>::create(maps_.platform_, count);
  if (!pages) return pages.status();
  pages_ = *std::move(pages);
  const auto first = maps_.platform_.reserve_frames(count);
  if (!first) return first.status();
  first_ = *first;
  reserved_ = count;
  for (uint32_t i = 0; i < count; ++i) {
    const auto handle = maps_.xen_.map_grant(peer, refs[i], access, first_ + i);
    if (!handle) return handle.status();
    pages_[i].handle = *handle;
    ++mapped_;
    const auto address = maps_.platform_.map_frame(first_ + i);
    if (!address) return address.status();
    pages_[i].address = *address;
  }
  return Status::kOk;
}

bool ForeignMaps::Map::unmap_all() {
  bool clean = true;
  for (uint32_t i = 0; i < mapped_; ++i) {
    if (pages_[i].address != nullptr) maps_.platform_.unmap_frame(pages_[i].address);
    // GRANT-007: after a restore the same handle may be another's map.
    if (restores_ != maps_.restores_.load(std::memory_order_relaxed)) continue;
    clean &= ok(maps_.xen_.unmap_grant(pages_[i].handle, first_ + i));
  }
  return clean;
}

ForeignMaps::Map::~Map() {
  if (reserved_ == 0) return;
  if (unmap_all()) {
    maps_.platform_.release_frames(first_, reserved_);
  } else {
    // GRANT-007: a number behind which a peer's page may still be is lost, not reused.
    maps_.platform_.log(platform::LogLevel::kError,
                        "Xen did not end a map of a peer's grant; its frame numbers are lost");
  }
}

Result<Owned<ForeignMap>> ForeignMaps::map(DomainId peer, std::span<const GrantRef> refs,
                                           Access access) {
  if (refs.empty() || refs.size() > kMaxForeignPages) return Status::kInvalidArgument;
  auto box =
      platform::Box<Map>::create(platform_, *this, restores_.load(std::memory_order_relaxed));
  if (!box) return box.status();
  Map* map = box->get();
  const Status status = map->start(peer, refs, access);
  if (!ok(status)) return status;
  map->keep(*std::move(box));
  return Owned<ForeignMap>(map);
}

}  // namespace ringside::xenbus
