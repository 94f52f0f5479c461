#include "protocols/xenbus/enumerator.hpp"

#include <algorithm>
#include <utility>

namespace ringside::xenbus {

Result<platform::Box<Enumerator>> Enumerator::create(const Services& services, const Config& config,
                                                     Client& client) {
  auto made = platform::Box<Enumerator>::create(services.platform, services, config, client);
  if (!made) return made.status();
  const Status status = (*made)->start();
  if (!ok(status)) return status;
  return made;
}

Status Enumerator::start() {
  auto directory = platform::Buffer::copy(services_.platform, config_.directory);
  if (!directory) return directory.status();
  directory_ = *std::move(directory);
  auto work = services_.platform.create_work(Delegate::to<&Enumerator::run>(*this), 0);
  if (!work) return work.status();
  work_ = *std::move(work);
  auto retry = services_.platform.create_timer(Delegate::to<&Enumerator::changed>(*this), 0);
  if (!retry) return retry.status();
  retry_ = *std::move(retry);
  auto watch = services_.store.watch(directory_.view(), Delegate::to<&Enumerator::changed>(*this));
  if (!watch) return watch.status();
  watch_ = *std::move(watch);
  work_->queue();
  return Status::kOk;
}

Enumerator::~Enumerator() {
  if (!work_) return;
  leaving_.store(true);
  watch_.reset();
  if (retry_) retry_->cancel();
  work_->cancel();
  // A long list must not be taken down by one destructor inside of the other.
  while (children_) {
    platform::Box<Child> next = std::move(children_->next);
    children_ = std::move(next);
  }
}

void Enumerator::run() {
  // While this waits for the store the work item may be started again; one at a time.
  if (leaving_.load() || runs_wanted_.fetch_add(1) != 0) return;
  unsigned seen;
  do {
    seen = runs_wanted_.load();
    if (!leaving_.load() && !ok(look())) {
      retry_->start(services_.platform.now() + kRetryDelay);
    }
  } while (runs_wanted_.fetch_sub(seen) != seen);
}

Status Enumerator::look() {
  for (Child* child = children_.get(); child != nullptr; child = child->next.get()) {
    child->present = false;
  }
  Status outcome = Status::kOk;
  const auto note = [&outcome](Status status) {
    if (ok(outcome)) outcome = status;
  };
  for (const std::string_view name : config_.synthetic) note(offer(name));
  const auto listing = services_.store.directory(kNoTransaction, directory_.view());
  // Of what could not be looked at nothing is known: nobody departs.
  if (!listing && listing.status() != Status::kNotFound) return listing.status();
  std::string_view rest = listing ? listing->raw() : std::string_view();
  while (!rest.empty()) {
    const std::string_view name = Listing::next(rest);
    if (is_supported(name)) note(offer(name));
  }
  sweep();
  return outcome;
}

Status Enumerator::offer(std::string_view name) {
  platform::Box<Child>* end = &children_;
  for (; *end; end = &(*end)->next) {
    if ((*end)->name.view() != name) continue;
    (*end)->present = true;
    return Status::kOk;
  }
  auto child = platform::Box<Child>::create(services_.platform);
  if (!child) return child.status();
  auto copy = platform::Buffer::copy(services_.platform, name);
  if (!copy) return copy.status();
  const Status status = client_.arrived(name);
  if (!ok(status)) return status;
  (*child)->name = *std::move(copy);
  (*child)->present = true;
  *end = *std::move(child);
  return Status::kOk;
}

void Enumerator::sweep() {
  platform::Box<Child>* link = &children_;
  while (*link) {
    if ((*link)->present) {
      link = &(*link)->next;
      continue;
    }
    const platform::Box<Child> gone = std::exchange(*link, std::move((*link)->next));
    client_.departed(gone->name.view());
  }
}

bool Enumerator::is_supported(std::string_view name) const {
  return config_.supported.empty() ||
         std::ranges::find(config_.supported, name) != config_.supported.end();
}

}  // namespace ringside::xenbus
