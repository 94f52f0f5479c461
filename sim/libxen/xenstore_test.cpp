extern "C" {
#include <xenstore.h>
}

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "sim/machine/machine.hpp"
#include "sim/toolstack/toolstack.hpp"
#include "sim/xenstore/xenstored.hpp"

namespace ringside::sim {
namespace {

using platform::kSecond;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

class LibxenstoreTest : public testing::Test {
 protected:
  LibxenstoreTest() : handle_(xs_open(0)) {}
  ~LibxenstoreTest() override { xs_close(handle_); }

  std::string read(const char* path, xs_transaction_t in = XBT_NULL) {
    unsigned length = 0;
    const Owned<void> value(xs_read(handle_, in, path, &length));
    return value ? std::string(static_cast<char*>(value.get()), length) : "!";
  }
  bool write(const char* path, const std::string& value, xs_transaction_t in = XBT_NULL) {
    return xs_write(handle_, in, path, value.data(), static_cast<unsigned>(value.size()));
  }
  std::string event() {
    const Owned<char*> event(xs_check_watch(handle_));
    if (!event) return errno == EAGAIN ? "" : "!";
    return std::string(event.get()[XS_WATCH_PATH]) + "=" + event.get()[XS_WATCH_TOKEN];
  }
  bool readable() {
    pollfd polled{xs_fileno(handle_), POLLIN, 0};
    return poll(&polled, 1, 0) == 1;
  }

  std::unique_ptr<World> world_ = World::deterministic(1);
  Machine machine_{*world_};
  Xenstored xenstored_{machine_};
  xs_handle* handle_;
};

TEST_F(LibxenstoreTest, ReadsWhatItWrote) {
  EXPECT_TRUE(write("/a/b", std::string("x\0y", 3)));
  EXPECT_EQ(read("/a/b"), std::string("x\0y", 3));
  EXPECT_TRUE(xs_mkdir(handle_, XBT_NULL, "/a/c"));
  unsigned count = 0;
  const Owned<char*> names(xs_directory(handle_, XBT_NULL, "/a", &count));
  ASSERT_EQ(count, 2u);
  EXPECT_STREQ(names.get()[0], "b");
  EXPECT_STREQ(names.get()[1], "c");
  EXPECT_TRUE(xs_rm(handle_, XBT_NULL, "/a/b"));
  EXPECT_EQ(read("/a/b"), "!");
  EXPECT_EQ(errno, ENOENT);
}

TEST_F(LibxenstoreTest, ListsMoreThanOneMessageHolds) {
  for (int i = 0; i < 1000; ++i) write(("/many/" + std::to_string(10000 + i)).c_str(), "");
  unsigned count = 0;
  const Owned<char*> names(xs_directory(handle_, XBT_NULL, "/many", &count));
  ASSERT_EQ(count, 1000u);
  EXPECT_STREQ(names.get()[999], "10999");
}

TEST_F(LibxenstoreTest, TransactionsConflict) {
  write("/a", "1");
  const xs_transaction_t id = xs_transaction_start(handle_);
  ASSERT_NE(id, XBT_NULL);
  EXPECT_EQ(read("/a", id), "1");
  write("/a", "2");
  EXPECT_FALSE(xs_transaction_end(handle_, id, false));
  EXPECT_EQ(errno, EAGAIN);
}

TEST_F(LibxenstoreTest, SetsAndGetsPermissions) {
  write("/a", "1");
  const DomainId owner = machine_.create_domain().id();
  xs_permissions given[] = {{owner, XS_PERM_NONE}, {7, XS_PERM_READ | XS_PERM_WRITE}};
  EXPECT_TRUE(xs_set_permissions(handle_, XBT_NULL, "/a", given, 2));
  unsigned count = 0;
  const Owned<xs_permissions> got(xs_get_permissions(handle_, XBT_NULL, "/a", &count));
  ASSERT_EQ(count, 2u);
  EXPECT_EQ(got.get()[0].id, owner);
  EXPECT_EQ(got.get()[1].perms, unsigned{XS_PERM_READ | XS_PERM_WRITE});
}

TEST_F(LibxenstoreTest, TheFileIsReadableWhileEventsWait) {
  EXPECT_TRUE(readable()) << "when new: events may have come before";
  EXPECT_EQ(event(), "");
  EXPECT_FALSE(readable());
  EXPECT_TRUE(xs_watch(handle_, "/a", "t"));
  EXPECT_TRUE(readable());
  EXPECT_EQ(event(), "/a=t");
  EXPECT_EQ(event(), "");
  EXPECT_FALSE(readable());
  write("/a/b", "1");
  EXPECT_TRUE(readable());
  EXPECT_EQ(event(), "/a/b=t");
  EXPECT_FALSE(xs_watch(handle_, "/a", "t"));
  EXPECT_EQ(errno, EEXIST);
}

TEST_F(LibxenstoreTest, TheFilterForgetsStaleEvents) {
  xs_handle* filtering = xs_open(XS_UNWATCH_FILTER);
  xs_watch(filtering, "/a", "t");
  xs_watch(filtering, "/b", "u");
  EXPECT_TRUE(xs_unwatch(filtering, "/a", "t"));
  const Owned<char*> kept(xs_check_watch(filtering));
  ASSERT_NE(kept, nullptr);
  EXPECT_STREQ(kept.get()[XS_WATCH_PATH], "/b");
  xs_close(filtering);

  xs_watch(handle_, "/a", "t");
  xs_unwatch(handle_, "/a", "t");
  EXPECT_EQ(event(), "/a=t") << "without the filter it may still arrive";
}

TEST_F(LibxenstoreTest, AnswersAboutDomains) {
  Toolstack toolstack(machine_, xenstored_);
  const unsigned domid = toolstack.create_domain().id();
  EXPECT_TRUE(xs_is_domain_introduced(handle_, domid));
  EXPECT_FALSE(xs_is_domain_introduced(handle_, 77));
  const Owned<char> path(xs_get_domain_path(handle_, domid));
  EXPECT_STREQ(path.get(), "/local/domain/1");
  EXPECT_TRUE(xs_release_domain(handle_, domid));
  EXPECT_FALSE(xs_is_domain_introduced(handle_, domid));
  Domain& domain = *machine_.find(static_cast<DomainId>(domid));
  EXPECT_TRUE(
      xs_introduce_domain(handle_, domid, domain.hvm_param(HVM_PARAM_STORE_PFN),
                          static_cast<unsigned>(domain.hvm_param(HVM_PARAM_STORE_EVTCHN))) ||
      errno == EINVAL);
  EXPECT_FALSE(xs_restrict(handle_, domid));
}

TEST_F(LibxenstoreTest, AnActorActsForItsDomainAndIsWokenByWatches) {
  const DomainId domain = machine_.create_domain().id();
  const std::string home = "/local/domain/" + std::to_string(domain);
  write((home + "/x").c_str(), "1");
  xs_permissions owner[] = {{domain, XS_PERM_NONE}};
  xs_set_permissions(handle_, XBT_NULL, home.c_str(), owner, 1);
  xs_set_permissions(handle_, XBT_NULL, (home + "/x").c_str(), owner, 1);
  write("/secret", "1");
  std::string seen;
  bool denied = false;
  world_->spawn("client",
                [&] {
                  xs_handle* mine = xs_open(0);
                  unsigned count = 0;
                  denied = !xs_write(mine, XBT_NULL, "/secret", "2", 1) && errno == EACCES;
                  xs_watch(mine, "x", "t");
                  for (int i = 0; i < 2; ++i) {
                    const Owned<char*> event(xs_read_watch(mine, &count));
                    seen += event.get()[XS_WATCH_PATH];
                  }
                  xs_close(mine);
                },
                {.domain = domain});
  EXPECT_TRUE(world_->run_until([&] { return seen == "x"; }, kSecond));
  EXPECT_TRUE(denied);
  write((home + "/x").c_str(), "2");
  EXPECT_TRUE(world_->run_until([&] { return seen == "xx"; }, kSecond));
}

TEST(LibxenstoreThreadsTest, ManyThreadsShareTheStore) {
  const auto world = World::threaded(1);
  Machine machine(*world);
  Xenstored xenstored(machine);
  std::atomic<int> done = 0;
  for (int actor = 0; actor < 3; ++actor) {
    world->spawn("client" + std::to_string(actor), [&done] {
      xs_handle* mine = xs_open(0);
      for (int added = 0; added < 50;) {
        const xs_transaction_t id = xs_transaction_start(mine);
        unsigned length = 0;
        const Owned<void> value(xs_read(mine, id, "/counter", &length));
        const int next = value ? std::atoi(static_cast<char*>(value.get())) + 1 : 1;
        const std::string text = std::to_string(next);
        xs_write(mine, id, "/counter", text.data(), static_cast<unsigned>(text.size()));
        if (xs_transaction_end(mine, id, false)) ++added;
      }
      xs_close(mine);
      ++done;
    });
  }
  EXPECT_TRUE(world->run_until([&] { return done == 3; }, 60 * kSecond));
  EXPECT_EQ(xenstored.connect()->read("/counter"), "150");
}

TEST(LibxenstoreAloneTest, WithoutADaemonThereIsNoHandle) {
  EXPECT_EQ(xs_open(0), nullptr);
  EXPECT_EQ(errno, ENOENT);
}

}  // namespace
}  // namespace ringside::sim
