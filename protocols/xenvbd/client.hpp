#pragma once

#include <cstdint>

#include "protocols/xenvbd/disk.hpp"
#include "protocols/xenvbd/request.hpp"

namespace ringside::xenvbd {

class Queue;

/// What the owner of a disk (a SCSI miniport, a load generator) is told.
class Client {
 public:
  /// `request` is done and the client's again; once for each that submit() took. At dispatch
  /// level on the queue's CPU, or at passive level from a closing device. May submit().
  ///
  /// kOk; kIoError: the back end failed it; kNotSupported: a discard, and the back end can
  /// not; kReadOnly, kInvalidArgument: the disk that came back after a reconnect is read-only
  /// or too small; kClosed: the disk was closed, the request may or may not have been done.
  virtual void completed(Queue& queue, Request& request, Status status) = 0;
  /// A back end is connecting, and what it says besides of the disk can be read here, before
  /// disk_changed(). An error ends the attempt. Passive level.
  virtual Status disk_found(const xenbus::Node& backend) {
    (void)backend;
    return Status::kOk;
  }
  /// The disk is there, or its size changed. Passive level.
  virtual void disk_changed(const Disk& disk) = 0;
  /// The back end is gone. Requests wait for reopen() or close(). Passive level.
  virtual void disk_lost() = 0;
  /// The toolstack wants the device back: true lets it go when what was submitted is done and
  /// flushed; with false it stays until close(), shut_down() or refuse_eject(). Passive level.
  /// [XENBUS-018, BLKIF-IO-037]
  virtual bool eject_requested() { return true; }

 protected:
  ~Client() = default;
};

}  // namespace ringside::xenvbd
