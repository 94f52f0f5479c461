#include "protocols/xenvif/packet.hpp"

namespace ringside::xenvif {

const char* to_string(TxStatus status) {
  switch (status) {
    case TxStatus::kSent: return "Sent";
    case TxStatus::kDroppedByPeer: return "DroppedByPeer";
    case TxStatus::kRejectedByPeer: return "RejectedByPeer";
    case TxStatus::kDisconnected: return "Disconnected";
    case TxStatus::kPeerHoldsPages: return "PeerHoldsPages";
    case TxStatus::kBadFragment: return "BadFragment";
    case TxStatus::kTooLong: return "TooLong";
    case TxStatus::kOverMtu: return "OverMtu";
    case TxStatus::kTooLongForPeer: return "TooLongForPeer";
    case TxStatus::kBadGso: return "BadGso";
    case TxStatus::kBadHeaders: return "BadHeaders";
    case TxStatus::kNoChecksum: return "NoChecksum";
  }
  return "Unknown";
}

}  // namespace ringside::xenvif
