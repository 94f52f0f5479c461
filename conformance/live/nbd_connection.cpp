#include "conformance/live/nbd_connection.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

namespace ringside::conformance {
namespace {

constexpr uint32_t kPreferredBlock = 4096;

bool carries_payload(uint16_t type) { return type == nbd::kCommandWrite; }

}  // namespace

NbdConnection::NbdConnection(int socket, NbdExport& disk) : socket_(socket), disk_(disk) {
  writer_ = std::thread([this] { reply_all(); });
  reader_ = std::thread([this] { serve(); });
}

NbdConnection::~NbdConnection() {
  shutdown(socket_, SHUT_RDWR);
  reader_.join();
  writer_.join();
  close(socket_);
}

bool NbdConnection::over() const {
  const std::lock_guard lock(mutex_);
  return over_;
}

void NbdConnection::serve() {
  if (shake_hands()) {
    while (take_command()) {
    }
  }
  const std::lock_guard lock(mutex_);
  ending_ = true;
  changed_.notify_all();
}

/// Until the last command is replied to; a client that has gone gets nothing.
void NbdConnection::reply_all() {
  bool there = true;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return !replies_.empty() || (ending_ && under_way_ == 0); });
    if (replies_.empty()) break;
    const Reply reply = std::move(replies_.front());
    replies_.pop_front();
    lock.unlock();
    nbd::Writer<16> head;
    head.put(nbd::kReplyMagic).put(reply.error).put(reply.command->cookie);
    const bool data = reply.command->kind == NbdCommand::Kind::kRead && reply.error == 0;
    there = there && send(head.bytes()) && (!data || send(reply.command->data));
    lock.lock();
    --under_way_;
    changed_.notify_all();
  }
  over_ = true;
  shutdown(socket_, SHUT_RDWR);
}

bool NbdConnection::shake_hands() {
  nbd::Writer<18> greeting;
  greeting.put(nbd::kMagic).put(nbd::kOptionMagic);
  greeting.put(static_cast<uint16_t>(nbd::kFixedNewstyle | nbd::kNoZeroes));
  std::array<std::byte, 4> flags;
  if (!send(greeting.bytes()) || !receive(flags)) return false;
  std::span<const std::byte> rest = flags;
  const auto wanted = nbd::take<uint32_t>(rest);
  if ((wanted & ~uint32_t{nbd::kFixedNewstyle | nbd::kNoZeroes}) != 0) return false;
  no_zeroes_ = (wanted & nbd::kNoZeroes) != 0;
  for (bool go = false; !go;) {
    if (!take_option(go)) return false;
  }
  return true;
}

bool NbdConnection::take_option(bool& go) {
  std::array<std::byte, 16> head;
  if (!receive(head)) return false;
  std::span<const std::byte> rest = head;
  if (nbd::take<uint64_t>(rest) != nbd::kOptionMagic) return false;
  const auto option = nbd::take<uint32_t>(rest);
  const auto length = nbd::take<uint32_t>(rest);
  if (length > nbd::kMostOptionData) return false;
  std::vector<std::byte> data(length);
  if (!receive(data)) return false;
  switch (option) {
    case nbd::kOptionExportName: go = true; return length == 0 && export_name();
    case nbd::kOptionAbort: (void)answer(option, nbd::kReplyAck); return false;
    case nbd::kOptionList: {
      if (length != 0) return answer(option, nbd::kReplyInvalid);
      nbd::Writer<4> name;
      name.put(uint32_t{0});
      return answer(option, nbd::kReplyServer, name.bytes()) && answer(option, nbd::kReplyAck);
    }
    case nbd::kOptionInfo:
    case nbd::kOptionGo: return describe(option, data, go);
    default: return answer(option, nbd::kReplyUnsupported);
  }
}

bool NbdConnection::export_name() {
  nbd::Writer<10> terms;
  terms.put(disk_.terms().size).put(transmission_flags());
  const std::array<std::byte, 124> zeroes{};
  return send(terms.bytes()) && (no_zeroes_ || send(zeroes));
}

/// The one export has no name.
bool NbdConnection::describe(uint32_t option, std::span<const std::byte> data, bool& go) {
  if (data.size() < 6) return answer(option, nbd::kReplyInvalid);
  const auto name_length = nbd::take<uint32_t>(data);
  if (name_length > data.size() - 2) return answer(option, nbd::kReplyInvalid);
  if (name_length != 0) return answer(option, nbd::kReplyUnknown);
  const NbdExport::Terms terms = disk_.terms();
  nbd::Writer<12> exported;
  exported.put(nbd::kInfoExport).put(terms.size).put(transmission_flags());
  nbd::Writer<14> blocks;
  blocks.put(nbd::kInfoBlockSize).put(terms.sector_size).put(kPreferredBlock);
  blocks.put(nbd::kMostData);
  go = option == nbd::kOptionGo;
  return answer(option, nbd::kReplyInfo, exported.bytes()) &&
         answer(option, nbd::kReplyInfo, blocks.bytes()) && answer(option, nbd::kReplyAck);
}

bool NbdConnection::answer(uint32_t option, uint32_t type, std::span<const std::byte> data) {
  nbd::Writer<20> head;
  head.put(nbd::kOptionReplyMagic).put(option).put(type).put(static_cast<uint32_t>(data.size()));
  return send(head.bytes()) && send(data);
}

uint16_t NbdConnection::transmission_flags() const {
  const NbdExport::Terms terms = disk_.terms();
  unsigned flags = nbd::kHasFlags | nbd::kCanMultiConn;
  if (terms.read_only) flags |= nbd::kReadOnly;
  if (terms.flush) flags |= nbd::kSendFlush | nbd::kSendFua;
  if (terms.trim) flags |= nbd::kSendTrim;
  return static_cast<uint16_t>(flags);
}

/// Takes one command and hands it on; false when there will be no other.
bool NbdConnection::take_command() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return under_way_ < kMostUnderWay; });
  }
  std::array<std::byte, 28> head;
  if (!receive(head)) return false;
  std::span<const std::byte> rest = head;
  if (nbd::take<uint32_t>(rest) != nbd::kRequestMagic) return false;
  auto command = std::make_unique<NbdCommand>();
  command->fua = (nbd::take<uint16_t>(rest) & nbd::kCommandFua) != 0;
  const auto type = nbd::take<uint16_t>(rest);
  command->cookie = nbd::take<uint64_t>(rest);
  command->offset = nbd::take<uint64_t>(rest);
  command->length = nbd::take<uint32_t>(rest);
  if (type == nbd::kCommandDisconnect) return false;
  if (carries_payload(type)) {
    if (command->length > nbd::kMostData) return false;
    command->data.resize(command->length);
    if (!receive(command->data)) return false;
  }
  {
    const std::lock_guard lock(mutex_);
    ++under_way_;
  }
  command->kind = type == nbd::kCommandWrite   ? NbdCommand::Kind::kWrite
                  : type == nbd::kCommandFlush ? NbdCommand::Kind::kFlush
                  : type == nbd::kCommandTrim  ? NbdCommand::Kind::kTrim
                                               : NbdCommand::Kind::kRead;
  if (const uint32_t error = judge(type, *command); error != nbd::kNoError) {
    done(std::move(command), error);
    return true;
  }
  if (type == nbd::kCommandRead) command->data.resize(command->length);
  command->done = [this](std::unique_ptr<NbdCommand> finished, uint32_t error) {
    done(std::move(finished), error);
  };
  disk_.submit(std::move(command));
  return true;
}

uint32_t NbdConnection::judge(uint16_t type, const NbdCommand& command) const {
  const NbdExport::Terms terms = disk_.terms();
  if (command.fua && !terms.flush) return nbd::kInvalid;
  switch (type) {
    case nbd::kCommandFlush:
      return terms.flush && command.length == 0 ? nbd::kNoError : nbd::kInvalid;
    case nbd::kCommandRead:
      if (command.length > nbd::kMostData) return nbd::kInvalid;
      break;
    case nbd::kCommandWrite:
      if (terms.read_only) return nbd::kNotPermitted;
      break;
    case nbd::kCommandTrim:
      if (terms.read_only) return nbd::kNotPermitted;
      if (!terms.trim) return nbd::kInvalid;
      break;
    default: return nbd::kInvalid;
  }
  if (command.length == 0 || command.offset % terms.sector_size != 0 ||
      command.length % terms.sector_size != 0) {
    return nbd::kInvalid;
  }
  const bool inside = command.length <= terms.size && command.offset <= terms.size - command.length;
  return inside ? nbd::kNoError : type == nbd::kCommandWrite ? nbd::kNoSpace : nbd::kInvalid;
}

void NbdConnection::done(std::unique_ptr<NbdCommand> command, uint32_t error) {
  const std::lock_guard lock(mutex_);
  replies_.push_back({std::move(command), error});
  changed_.notify_all();
}

bool NbdConnection::receive(std::span<std::byte> into) {
  while (!into.empty()) {
    const ssize_t count = recv(socket_, into.data(), into.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    into = into.subspan(static_cast<size_t>(count));
  }
  return true;
}

bool NbdConnection::send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return true;
}

}  // namespace ringside::conformance
