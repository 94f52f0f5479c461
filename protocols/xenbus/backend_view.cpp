#include "protocols/xenbus/backend_view.hpp"

#include <utility>

namespace ringside::xenbus {

// XENBUS-001: anything else is no state at all.
DeviceState parse_state(std::string_view text) {
  const uint64_t value = parse_number(text).value_or(0);
  const bool known = value <= static_cast<uint64_t>(DeviceState::kReconfigured);
  return known ? static_cast<DeviceState>(value) : DeviceState::kUnknown;
}

Status BackendView::find(const Node& frontend) {
  auto path = frontend.read("backend");
  if (!path) return path.status();
  // XENBUS-013: both may be others after a migration.
  const auto domain = frontend.read("backend-id");
  if (!domain && domain.status() != Status::kNotFound) return domain.status();
  domain_ = domain ? static_cast<DomainId>(parse_number(domain->view()).value_or(0)) : 0;
  if (path->view() == path_.view() && watch_) return Status::kOk;
  watch_.reset();
  path_ = *std::move(path);
  auto watch = store_.watch(path_.view(), changed_);
  if (!watch) return watch.status();
  watch_ = *std::move(watch);
  return Status::kOk;
}

Result<BackendView::Sight> BackendView::look() const { return look(store_, path_.view()); }

Result<BackendView::Sight> BackendView::look(Store& store, std::string_view path) {
  const Node node(store, kNoTransaction, path);
  const auto state = node.read("state");
  // XENBUS-011: a directory that is gone, or cannot be reached any more. What is missing below
  // a directory that we may not read is denied to us.
  const Status why = state.status();
  const bool gone = why == Status::kNotFound || why == Status::kAccessDenied;
  if (gone || why == Status::kClosed) return Sight{};
  if (!state) return why;
  Fields fields(node);
  const bool online = fields.flag("online", true);
  if (!ok(fields.status())) return fields.status();
  return Sight{.present = true, .online = online, .state = parse_state(state->view())};
}

}  // namespace ringside::xenbus
