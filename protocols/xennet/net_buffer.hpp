#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "protocols/xennet/ndis_status.hpp"

// What a packet is to NDIS, as plain structures: the shell of a kernel binds its own
// NET_BUFFER_LISTs to them. Source: ndis.h, "NET_BUFFER Architecture".

namespace ringside::xennet {

/// A run of mapped bytes over pages that need not be neighbours.
struct Mdl {
  Mdl* next = nullptr;
  std::byte* address = nullptr;       ///< of the first byte
  uint32_t length = 0;                ///< bytes
  const uintptr_t* frames = nullptr;  ///< numbers of the pages it touches, in order
};

/// One packet: `length` bytes that begin at `offset` of `mdl`.
struct NetBuffer {
  NetBuffer* next = nullptr;
  Mdl* mdl = nullptr;
  uint32_t offset = 0;
  uint32_t length = 0;
};

/// Packets that share their out-of-band information; packet_info.hpp reads the words.
struct NetBufferList {
  NetBufferList* next = nullptr;
  NetBuffer* first = nullptr;
  uint32_t checksum = 0;    ///< TcpIpChecksumNetBufferListInfo
  uint32_t large_send = 0;  ///< TcpLargeSendNetBufferListInfo
  uint32_t vlan = 0;        ///< Ieee8021QNetBufferListInfo
  uint32_t coalesced = 0;   ///< TcpRecvSegCoalesceInfo
  uint32_t hash_value = 0;  ///< NetBufferListHashValue
  uint32_t hash_info = 0;   ///< NetBufferListHashInfo; 0: no hash
  uintptr_t cancel_id = 0;  ///< NetBufferListCancelId
  NdisStatus status = NdisStatus::kSuccess;
  void* context = nullptr;  ///< its maker's: the shell's of one to send, ours of one received

  // While the sender has it.
  NetBuffer* unsent = nullptr;  ///< the next packet to go
  uint32_t parts = 0;           ///< packets under way, and one until all have been looked at
  bool counted = false;         ///< a pause waits for it
};

/// Lists chained by `next`, first in, first out.
class Chain {
 public:
  bool empty() const { return head_ == nullptr; }
  NetBufferList* head() const { return head_; }
  uint32_t count() const { return count_; }
  void push(NetBufferList* list) {
    list->next = nullptr;
    (head_ == nullptr ? head_ : tail_->next) = list;
    tail_ = list;
    ++count_;
  }
  /// Precondition: !empty().
  NetBufferList* pop() {
    NetBufferList* list = head_;
    head_ = list->next;
    list->next = nullptr;
    --count_;
    return list;
  }
  Chain take() { return std::exchange(*this, Chain{}); }

 private:
  NetBufferList* head_ = nullptr;
  NetBufferList* tail_ = nullptr;
  uint32_t count_ = 0;
};

}  // namespace ringside::xennet
