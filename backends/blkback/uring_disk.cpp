#include "backends/blkback/uring_disk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ringside::backends {
namespace {

bool passes(int result) { return result == -EINTR || result == -EAGAIN || result == -EBUSY; }

}  // namespace

std::unique_ptr<UringDisk> UringDisk::open(const std::string& path, FileDisk::Mode mode,
                                           std::string& error) {
  auto file = FileDisk::open(path, mode, error);
  if (!file) return nullptr;
  io_uring ring{};
  if (const int result = io_uring_queue_init(kDepth, &ring, 0); result < 0) {
    error = std::string("io_uring: ") + std::strerror(-result);
    return nullptr;
  }
  return std::unique_ptr<UringDisk>(new UringDisk(std::move(file), ring));
}

UringDisk::~UringDisk() { io_uring_queue_exit(&ring_); }

void UringDisk::go_direct() {
  const int file = file_->file();
  const int flags = fcntl(file, F_GETFL);
  if (fcntl(file, F_SETFL, flags | O_DIRECT) != 0) {
    cached_because_ = std::string("its file system refuses O_DIRECT: ") + std::strerror(errno);
    return;
  }
  // A guest reads and writes single sectors; a file with larger blocks doesn't, without a cache.
  std::byte* sector = bounce_.take(2 * kSectorBytes).data() + kSectorBytes;
  const off_t at = file_->size() >= 2 * kSectorBytes ? kSectorBytes : 0;
  if (file_->size() == 0 || pread(file, sector, kSectorBytes, at) == kSectorBytes) return;
  cached_because_ = std::string("its sectors can't be had with O_DIRECT: ") + std::strerror(errno);
  fcntl(file, F_SETFL, flags);
}

DiskStatus UringDisk::read(uint64_t offset, std::span<std::byte> into) {
  return run_one(/*write=*/false, offset, into);
}

DiskStatus UringDisk::write(uint64_t offset, std::span<const std::byte> from) {
  return run_one(/*write=*/true, offset, {const_cast<std::byte*>(from.data()), from.size()});
}

DiskStatus UringDisk::run_one(bool write, uint64_t offset, std::span<std::byte> data) {
  DiskTransfer one{.write = write, .offset = offset, .data = data};
  transfer({&one, 1});
  return one.status;
}

void UringDisk::transfer(std::span<DiskTransfer> transfers) {
  const auto apart = std::find_if(transfers.begin(), transfers.end(), [](const DiskTransfer& one) {
    return reinterpret_cast<uintptr_t>(one.data.data()) % kSectorBytes != 0;
  });
  const auto aligned = static_cast<size_t>(apart - transfers.begin());
  for (size_t from = 0; from < aligned; from += kDepth) {
    run(transfers.subspan(from, std::min<size_t>(kDepth, aligned - from)));
  }
  if (apart == transfers.end()) return;
  const std::span<std::byte> buffer = bounce_.take(apart->data.size());
  DiskTransfer instead = *apart;
  instead.data = buffer;
  if (apart->write) std::copy(apart->data.begin(), apart->data.end(), buffer.begin());
  run({&instead, 1});
  if (!apart->write) std::copy(buffer.begin(), buffer.end(), apart->data.begin());
  apart->status = instead.status;
  transfer(transfers.subspan(aligned + 1));
}

void UringDisk::queue(const DiskTransfer& one, size_t done, uint64_t index) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);  // never more than kDepth are under way
  const std::span<std::byte> rest = one.data.subspan(done);
  const auto length = static_cast<unsigned>(rest.size());
  if (one.write) {
    io_uring_prep_write(entry, file_->file(), rest.data(), length, one.offset + done);
  } else {
    io_uring_prep_read(entry, file_->file(), rest.data(), length, one.offset + done);
  }
  entry->user_data = index;
}

void UringDisk::run(std::span<DiskTransfer> batch) {
  std::array<size_t, kDepth> done{};
  for (size_t i = 0; i < batch.size(); ++i) queue(batch[i], 0, i);
  for (size_t left = batch.size(); left > 0;) {
    (void)io_uring_submit_and_wait(&ring_, 1);
    io_uring_cqe* entry = nullptr;
    while (io_uring_peek_cqe(&ring_, &entry) == 0) {
      const auto index = static_cast<size_t>(entry->user_data);
      const int result = entry->res;
      io_uring_cqe_seen(&ring_, entry);
      if (result > 0) done[index] += static_cast<size_t>(result);
      const bool whole = done[index] == batch[index].data.size();
      if (!whole && (result > 0 || passes(result))) {
        queue(batch[index], done[index], index);
        continue;
      }
      batch[index].status = whole ? DiskStatus::kOk : DiskStatus::kError;
      --left;
    }
  }
}

}  // namespace ringside::backends
