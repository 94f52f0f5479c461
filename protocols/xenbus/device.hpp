#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "protocols/xenbus/backend_view.hpp"
#include "protocols/xenbus/interfaces/services.hpp"
#include "protocols/xenbus/node.hpp"

namespace ringside::xenbus {

/// What a kind of device (vif, vbd) does at each step of the xenbus handshake.
///
/// All calls come at passive level, one at a time, from the device's work item.
class DeviceDriver {
 public:
  /// The back end has published its features (InitWait or later): read them, choose, and
  /// allocate rings, grants and event channels for `backend_domain`. [XENBUS-003]
  virtual Status prepare(DomainId backend_domain, const Node& backend) = 0;
  /// Write the transport nodes through `frontend`, which is inside a transaction. May be
  /// called again when the transaction conflicts. [XENBUS-007]
  virtual Status publish(const Node& frontend) = 0;
  /// The back end is Connected and its device properties can be read. [XENBUS-005]
  virtual Status connect(const Node& backend) = 0;
  /// A node of the connected back end changed (online resize, carrier).
  virtual void backend_changed(const Node& backend) = 0;
  /// The back end went offline while connected: the device is to be ejected. True lets it go at
  /// once; with false it stays until let_go(), close() or refuse_eject(). [XENBUS-018]
  virtual bool may_eject() { return true; }
  /// No new requests from now on; those under way may still be answered.
  virtual void stop() = 0;
  /// The back end is Closed or gone: complete what is outstanding exactly once, then revoke
  /// every grant and close every channel. Also called after a failed prepare(). [XENBUS-009]
  virtual void release() = 0;

 protected:
  ~DeviceDriver() = default;
};

/// How a kind of device runs the handshake.
struct DeviceProfile {
  /// The state that goes with the transport nodes: kInitialised for blkif, kConnected for
  /// netif. [XENBUS-004]
  DeviceState published;
};

/// The xenbus state machine of one front end.
///
/// Driven by watches on its own and the back end's directory through one work item; never
/// waits for the back end. Source: xen/io/xenbus.h, blkif.h "State diagrams".
class Device {
 public:
  /// `path` is the front end's directory relative to the domain, such as "device/vif/0".
  /// Devices of one bus must be gone before it. kNoMemory.
  static Result<platform::Box<Device>> create(const Services& services, std::string_view path,
                                              DeviceProfile profile, DeviceDriver& driver);
  Device(const Services& services, DeviceProfile profile, DeviceDriver& driver);  ///< see create()
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  /// Passive level. What was not closed is stopped and released without the back end's say.
  ~Device();

  /// Registers the watches and lets the handshake begin.
  Status start();
  /// Closing -> Closed: returns at once; closed() is signalled when release() has run.
  void close();
  /// The eject that may_eject() said no to may come now. Any level.
  void let_go();
  /// The owner can't let an offline device go: says so in the `error` node and keeps it as long
  /// as the back end does not leave by itself. Passive level. [XENBUS-018]
  void refuse_eject();
  /// Closed -> Initialising once more (driver reload, back-end restart). kBusy unless closed;
  /// kClosed when the back end is gone or offline. [XENBUS-012, XENBUS-014]
  Status reopen();
  /// The peer broke the protocol: stop, write the `error` node, close. Any level.
  void fail(Status why);

  /// The domain has moved, and this device not yet followed: what was read of the back end may be
  /// of two. From within the driver's calls. [CONTROL-006]
  bool stale() const { return resumed_.load(); }
  DeviceState state() const;
  DeviceState backend_state() const;
  platform::Event& connected();  ///< set while both sides are Connected
  platform::Event& closed();     ///< set while Closed and released

 private:
  /// Where this side is in the handshake; finer than the state the store shows.
  enum class Phase : uint8_t {
    kStopped,       ///< start() was not called yet
    kInitialising,  ///< waiting for the back end's features
    kPublished,     ///< waiting for the back end to be Connected
    kConnected,
    kClosing,  ///< waiting for the back end to be Closing or further
    kLeaving,  ///< Closed is written; waiting for the back end to be Closed
    kClosed,
  };
  using Backend = BackendView::Sight;
  static constexpr unsigned kMaxCommitTries = 32;
  /// When a look at the store that failed for want of memory is repeated.
  static constexpr platform::Nanoseconds kRetryDelay = 10 * platform::kMillisecond;

  Status prepare_to_run(std::string_view path);
  void run();
  void run_once();
  Status look_and_step();
  void backend_fired();
  void resumed_early() { resumed_.store(true); }
  void resumed_late() { work_->queue(); }
  void come_back();
  void frontend_fired() { work_->queue(); }
  void retry_due() { work_->queue(); }
  void advance(const Backend& backend, bool changed);
  void on_initialising(const Backend& backend);
  void on_published(const Backend& backend);
  void on_connected(const Backend& backend, bool changed);
  bool must_leave(const Backend& backend);
  void on_closing(const Backend& backend);
  void on_leaving(const Backend& backend);
  void on_closed(const Backend& backend);
  bool nothing_shared(const Backend& backend) const;
  void negotiate();
  Status publish_all();
  void begin_close();
  void give_up(Status why);
  void stop_driver();
  void release_driver();
  void initialise();
  void enter(Phase phase, DeviceState state);
  Status write_state(DeviceState state);
  Node frontend(Transaction transaction = kNoTransaction) const;

  Services services_;
  DeviceProfile profile_;
  DeviceDriver& driver_;
  platform::Buffer path_;
  BackendView backend_;
  std::atomic<Phase> phase_ = Phase::kStopped;
  bool prepared_ = false;       ///< the driver holds resources
  bool stopped_ = false;        ///< and takes no more requests
  bool published_ = false;      ///< the back end may use them
  bool reconnect_ = true;       ///< come back when the back end does
  bool eject_asked_ = false;    ///< since the back end went offline
  bool restart_ = false;        ///< come back as soon as Closed
  bool back_end_left_ = false;  ///< it has answered our Closing
  std::atomic<unsigned> runs_wanted_ = 0;
  std::atomic<bool> changed_ = false;
  bool unwritten_ = false;             ///< the store does not show state_ yet
  std::atomic<bool> resumed_ = false;  ///< all that was shared is of a domain that is no more
  std::atomic<bool> leaving_ = false;  ///< being destroyed: nothing is begun any more
  std::atomic<bool> close_wanted_ = false;
  std::atomic<bool> let_go_ = false;
  std::atomic<bool> open_wanted_ = false;
  std::atomic<Status> failure_ = Status::kOk;
  std::atomic<DeviceState> state_ = DeviceState::kUnknown;
  std::atomic<DeviceState> backend_state_ = DeviceState::kUnknown;
  Owned<platform::Event> connected_;
  Owned<platform::Event> closed_;
  Owned<platform::Work> work_;
  Owned<platform::Timer> retry_;
  Owned<Watch> frontend_watch_;
  Owned<SuspendCallback> early_;
  Owned<SuspendCallback> late_;
};

}  // namespace ringside::xenbus
