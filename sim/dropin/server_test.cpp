// The host's side of the drop-in libraries, with the libraries' own channel and without it.
#include "sim/dropin/server.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "sim/dropin/libs/channel.hpp"

namespace ringside::sim::dropin {
namespace {

using platform::kSecond;

constexpr GrantRef kRef = 20;
constexpr int kPatienceMs = 60'000;

class DropinServerTest : public testing::Test {
 protected:
  DropinServerTest() : guest_(machine_.create_domain({.max_pages = 256})) {
    setenv(kSocketVariable, server_.path().c_str(), 1);
  }
  ~DropinServerTest() override { unsetenv(kSocketVariable); }

  static std::string fresh_path() {
    std::array<char, 32> name{"/tmp/ringside-dropin-XXXXXX"};
    close(mkstemp(name.data()));
    unlink(name.data());
    return name.data();
  }

  /// A connection that says what it is told.
  int connect_raw() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, server_.path().c_str(), sizeof(address.sun_path) - 1);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  bool becomes(const std::function<bool()>& done) { return world_->run_until(done, 60 * kSecond); }

  /// A page that dom0 may map, by kRef.
  uint64_t grant_page() {
    const uint64_t gfn = guest_.allocate_pages()[0];
    guest_.grants().permit(kRef, 0, gfn);
    return gfn;
  }
  Request one_grant(Operation operation, GrantRef ref, bool writable = true) {
    Request request(operation);
    request.count = 1;
    request.grants[0] = {guest_.id(), ref, writable};
    return request;
  }

  std::unique_ptr<World> world_ = World::threaded(1);
  Machine machine_{*world_, {.frames = 4096}};
  Server server_{machine_, fresh_path()};
  Domain& guest_;
};

TEST_F(DropinServerTest, AnEventIsReadOnceAndAgainAfterUnmask) {
  const auto theirs = static_cast<Port>(guest_.events().alloc_unbound(0));
  Channel events;
  ASSERT_TRUE(events.open(Operation::kOpenEvents));
  const int port = events.call(Request(Operation::kBindInterdomain, guest_.id(), theirs));
  ASSERT_GT(port, 0);
  fcntl(events.file(), F_SETFL, O_NONBLOCK);
  const auto next = [&] {
    Port got = 0;
    return read(events.file(), &got, sizeof(got)) == sizeof(got) ? static_cast<int>(got) : -1;
  };
  while (next() > 0) {  // joining the ends raises one
    events.call(Request(Operation::kUnmask, static_cast<Port>(port)));
  }
  for (int round = 0; round < 3; ++round) guest_.events().send(theirs);
  EXPECT_EQ(next(), port);
  EXPECT_EQ(next(), -1) << "masked until it is unmasked";
  events.call(Request(Operation::kUnmask, static_cast<Port>(port)));
  EXPECT_EQ(next(), port) << "it came again meanwhile";
  EXPECT_EQ(events.call(Request(Operation::kNotify, static_cast<Port>(port))), 0);
  EXPECT_TRUE(guest_.events().pending(theirs));
}

TEST_F(DropinServerTest, MapsAreTheGuestsMemory) {
  const uint64_t gfn = grant_page();
  guest_.page_address(gfn)[7] = std::byte{42};
  Channel grants;
  ASSERT_TRUE(grants.open(Operation::kOpenGrants));
  Reply reply;
  ASSERT_EQ(grants.call(one_grant(Operation::kMap, kRef), reply), 0);
  auto* page = static_cast<std::byte*>(
      mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, grants.file(),
           static_cast<off_t>(reply.pages[0].frame) * static_cast<off_t>(kPageSize)));
  ASSERT_NE(page, MAP_FAILED);
  EXPECT_EQ(page[7], std::byte{42});
  page[8] = std::byte{43};
  EXPECT_EQ(guest_.page_address(gfn)[8], std::byte{43});
  munmap(page, kPageSize);
  EXPECT_EQ(guest_.grants().use_count(kRef), 1u);
  Request unmap(Operation::kUnmap);
  unmap.count = 1;
  unmap.handles[0] = reply.pages[0].handle;
  EXPECT_EQ(grants.call(unmap), 0);
  EXPECT_EQ(guest_.grants().use_count(kRef), 0u);
  EXPECT_EQ(grants.call(unmap), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(DropinServerTest, AMapOfSeveralIsOfAllOrNone) {
  grant_page();
  Channel grants;
  ASSERT_TRUE(grants.open(Operation::kOpenGrants));
  Request request = one_grant(Operation::kMap, kRef);
  request.count = 2;
  request.grants[1] = {guest_.id(), kRef + 1, 1};
  EXPECT_EQ(grants.call(request), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(guest_.grants().use_count(kRef), 0u);
}

TEST_F(DropinServerTest, WhatADeadClientHadIsGone) {
  grant_page();
  const auto theirs = static_cast<Port>(guest_.events().alloc_unbound(0));
  {
    Channel events;
    Channel grants;
    ASSERT_TRUE(events.open(Operation::kOpenEvents));
    ASSERT_TRUE(grants.open(Operation::kOpenGrants));
    ASSERT_GT(events.call(Request(Operation::kBindInterdomain, guest_.id(), theirs)), 0);
    ASSERT_EQ(grants.call(one_grant(Operation::kMap, kRef)), 0);
    ASSERT_EQ(grants.call(one_grant(Operation::kHold, kRef)), 0);
    EXPECT_EQ(guest_.grants().use_count(kRef), 2u);
  }
  EXPECT_TRUE(becomes([&] { return server_.clients() == 0; }));
  EXPECT_EQ(guest_.grants().use_count(kRef), 0u);
  Channel next;
  ASSERT_TRUE(next.open(Operation::kOpenEvents));
  EXPECT_GT(next.call(Request(Operation::kBindInterdomain, guest_.id(), theirs)), 0)
      << "the guest's port waits for the next";
}

TEST_F(DropinServerTest, HandlesHaveNothingInCommon) {
  grant_page();
  Channel mine;
  Channel other;
  ASSERT_TRUE(mine.open(Operation::kOpenGrants));
  ASSERT_TRUE(other.open(Operation::kOpenGrants));
  Reply reply;
  ASSERT_EQ(mine.call(one_grant(Operation::kMap, kRef), reply), 0);
  Request unmap(Operation::kUnmap);
  unmap.count = 1;
  unmap.handles[0] = reply.pages[0].handle;
  EXPECT_EQ(other.call(unmap), -1);
  EXPECT_EQ(guest_.grants().use_count(kRef), 1u);

  Channel events;
  Channel others;
  ASSERT_TRUE(events.open(Operation::kOpenEvents));
  ASSERT_TRUE(others.open(Operation::kOpenEvents));
  const int port = events.call(Request(Operation::kBindUnbound, guest_.id()));
  ASSERT_GT(port, 0);
  for (const Operation operation : {Operation::kNotify, Operation::kUnbind}) {
    EXPECT_EQ(others.call(Request(operation, static_cast<Port>(port))), -1);
    EXPECT_EQ(errno, ENOTCONN);
  }
  EXPECT_EQ(others.call(one_grant(Operation::kMap, kRef)), -1) << "a handle is for one device";
}

TEST_F(DropinServerTest, GarbageEndsItsConnectionOnly) {
  Channel sound;
  ASSERT_TRUE(sound.open(Operation::kOpenControl));
  Request too_many(Operation::kMap);
  too_many.count = kBatch + 1;
  Request short_of_one(Operation::kMap);
  short_of_one.count = 2;
  const std::array<char, 70'000> long_one{};
  const std::array<std::pair<const void*, size_t>, 4> packets{{
      {&too_many, sizeof(too_many)},
      {&short_of_one, kRequestHeader + sizeof(Grant)},
      {long_one.data(), long_one.size()},
      {long_one.data(), 3},
  }};
  for (const auto& [bytes, size] : packets) {
    const int fd = connect_raw();
    EXPECT_EQ(send(fd, bytes, size, 0), static_cast<ssize_t>(size));
    pollfd polled{fd, POLLIN, 0};
    EXPECT_EQ(poll(&polled, 1, kPatienceMs), 1);
    char byte;
    EXPECT_EQ(recv(fd, &byte, 1, 0), 0) << "of " << size << " bytes: the host hangs up";
    close(fd);
  }
  Reply reply;
  EXPECT_EQ(sound.call(Request(Operation::kDomainInfo, 1), reply), 1);
  EXPECT_EQ(reply.domain.domain, guest_.id());
}

TEST_F(DropinServerTest, NobodyWaitsForAClientThatDoesNotRead) {
  const int fd = connect_raw();
  const Request request(Operation::kDomainInfo, 0);
  bool hung_up = false;
  for (int i = 0; i < 1'000'000 && !hung_up; ++i) {
    hung_up = send(fd, &request, size_of(request), MSG_NOSIGNAL) < 0;
  }
  EXPECT_TRUE(hung_up);
  Channel sound;
  EXPECT_TRUE(sound.open(Operation::kOpenControl));
  close(fd);
}

TEST_F(DropinServerTest, TheMemoryCannotBeTakenAway) {
  Channel grants;
  ASSERT_TRUE(grants.open(Operation::kOpenGrants));
  EXPECT_EQ(ftruncate(grants.file(), 0), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST_F(DropinServerTest, WithoutAHostThereIsNoHandle) {
  setenv(kSocketVariable, "/nowhere/to/be/found", 1);
  Channel channel;
  EXPECT_FALSE(channel.open(Operation::kOpenEvents));
  EXPECT_EQ(errno, ENOENT);
}

}  // namespace
}  // namespace ringside::sim::dropin
