#pragma once

#include <cstddef>
#include <cstdint>

namespace ringside::sim::dropin {

/// What the drop-in libraries and the simulated host say to each other: over a Unix socket of
/// type SOCK_SEQPACKET, one packet a request, one a reply, one connection a libxen* handle.
///
/// A connection is to the host what an open device file is to a kernel: what was bound or mapped
/// through it is gone when it ends, however it ended. Both sides are of one build.

/// Names the socket in a client's environment.
inline constexpr const char* kSocketVariable = "RINGSIDE_DROPIN";

/// Grants in one request at most.
inline constexpr uint32_t kBatch = 256;

enum class Operation : uint32_t {
  kOpenEvents,       ///< the reply has a file: reading gives the ports of events, 4 bytes each
  kOpenGrants,       ///< the reply has a file: the machine's memory
  kOpenControl,      ///< no file
  kBindUnbound,      ///< values: domain
  kBindInterdomain,  ///< values: domain, its port
  kBindVirq,         ///< values: virq
  kUnbind,           ///< values: port; and so the two below
  kNotify,
  kUnmask,
  kMap,         ///< grants; all or none
  kUnmap,       ///< handles
  kHold,        ///< grants, for a copy; a status for each
  kLetGo,       ///< of all that is held
  kDomainInfo,  ///< values: the least id that is wanted; result 1, or 0 when there is none
  kPortStatus,  ///< values: domain (or DOMID_SELF), port
  kStorePort,   ///< the result is dom0's port for its own connection to the store daemon
};

struct Grant {
  uint32_t domain = 0;
  uint32_t ref = 0;
  uint32_t writable = 0;
};

struct Request {
  Operation operation{};
  uint32_t count = 0;  ///< of grants or handles
  uint32_t values[2]{};
  union {
    Grant grants[kBatch];
    uint32_t handles[kBatch];
  };

  Request() : grants{} {}
  explicit Request(Operation what, uint32_t first = 0, uint32_t second = 0)
      : operation(what), values{first, second}, grants{} {}
};

/// A granted page: which frame of the memory file it is and, for a copy, which of its bytes.
struct Page {
  int32_t status = 0;  ///< GNTST_*
  uint32_t handle = 0;
  uint32_t frame = 0;
  uint32_t start = 0;
  uint32_t length = 0;
};

struct DomainInfo {
  uint32_t domain = 0;
  uint32_t hvm = 0;
  uint32_t dying = 0;
  uint32_t paused = 0;
  uint32_t shut_down = 0;
  uint32_t shutdown_reason = 0;
  uint32_t pages = 0;
  uint32_t max_pages = 0;
  uint32_t vcpus = 0;
  uint8_t handle[16]{};
};

/// The answers of EVTCHNOP_status.
struct PortStatus {
  uint32_t status = 0;  ///< EVTCHNSTAT_*
  uint32_t vcpu = 0;
  unsigned char detail[8]{};  ///< what evtchn_status_t has as `u`
};

struct Reply {
  int32_t result = 0;  ///< or -errno
  uint32_t count = 0;  ///< of pages
  union {
    Page pages[kBatch];
    DomainInfo domain;
    PortStatus port;
  };

  Reply() : pages{} {}
};

inline constexpr size_t kRequestHeader = offsetof(Request, grants);
inline constexpr size_t kReplyHeader = offsetof(Reply, pages);

/// Bytes of the message that are sent.
inline size_t size_of(const Request& request) {
  const bool handles = request.operation == Operation::kUnmap;
  return kRequestHeader + request.count * (handles ? sizeof(uint32_t) : sizeof(Grant));
}

inline size_t size_of(const Reply& reply) {
  return kReplyHeader + (reply.count > 0 ? reply.count * sizeof(Page) : sizeof(DomainInfo));
}

}  // namespace ringside::sim::dropin
