#include "conformance/xeniface/iface_rig.hpp"

namespace ringside::conformance {
namespace {

class IfaceStoreTest : public IfaceTest {
 protected:
  /// A path, or path and value, each with its NUL.
  static Input texts(std::string_view first, std::optional<std::string_view> second = {}) {
    std::string all(first);
    all += '\0';
    if (second) (all += *second) += '\0';
    return Input::text(all);
  }
  NtStatus write(std::string_view path, std::string_view value) {
    return call(*one_, Ioctl::kStoreWrite, texts(path, value)).status;
  }
  template <typename Pointer = uint64_t>
  Input permissions(UserAddress path, size_t path_length, uint32_t count,
                    const std::vector<xeniface::StorePermission>& list) {
    Input input(xeniface::StoreSetPermissionsIn<Pointer>{
        static_cast<Pointer>(path), static_cast<uint32_t>(path_length), count});
    for (const auto& one : list) input.append(one);
    return input;
  }
  UserAddress place(std::string_view bytes) {
    UserAddress at = 0;
    guest_.run([&] { at = process_.place(bytes); });
    return at;
  }
};

TEST_F(IfaceStoreTest, IFACE_010_NodesAreWrittenReadAndRemoved) {
  EXPECT_EQ(write("data/example", "some value"), NtStatus::kSuccess);
  EXPECT_EQ(stored("data/example"), "some value");
  const Reply reply = call(*one_, Ioctl::kStoreRead, texts("data/example"), 4096);
  EXPECT_EQ(reply.status, NtStatus::kSuccess);
  EXPECT_EQ(reply.text(), std::string_view("some value\0", 11));
  EXPECT_EQ(call(*one_, Ioctl::kStoreRemove, texts("data/example")).status, NtStatus::kSuccess);
  EXPECT_EQ(stored("data/example"), "(none)");
}

TEST_F(IfaceStoreTest, IFACE_010_ThePublishedFinalNulOfAWriteIsOptional) {
  EXPECT_EQ(
      call(*one_, Ioctl::kStoreWrite, Input::text(std::string_view("data/a\0b\0\0", 10))).status,
      NtStatus::kSuccess);
  EXPECT_EQ(stored("data/a"), "b");
  EXPECT_EQ(write("data/a", ""), NtStatus::kSuccess);
  EXPECT_EQ(stored("data/a"), "");
}

TEST_F(IfaceStoreTest, IFACE_010_TextWithoutItsNulOrWithControlsIsRefused) {
  for (const Ioctl code :
       {Ioctl::kStoreRead, Ioctl::kStoreDirectory, Ioctl::kStoreRemove, Ioctl::kStoreWrite}) {
    const size_t output = code == Ioctl::kStoreRead || code == Ioctl::kStoreDirectory ? 64 : 0;
    EXPECT_EQ(call(*one_, code, Input(), output).status, NtStatus::kInvalidBufferSize);
    for (const std::string_view bad :
         {std::string_view("data"), std::string_view("da\nta\0x\0", 8),
          std::string_view("da\x80ta\0x\0", 8), std::string_view("\0x\0", 3),
          std::string_view("/a//b\0x\0", 8), std::string_view("data/\0x\0", 8)}) {
      EXPECT_EQ(call(*one_, code, Input::text(bad), output).status, NtStatus::kInvalidParameter)
          << bad;
    }
    const std::string too_long = std::string(3073, 'a') + std::string("\0x\0", 3);
    EXPECT_EQ(call(*one_, code, Input::text(too_long), output).status, NtStatus::kInvalidParameter);
  }
  EXPECT_EQ(call(*one_, Ioctl::kStoreWrite, texts("data/a")).status, NtStatus::kInvalidParameter)
      << "there is no value";
  EXPECT_EQ(call(*one_, Ioctl::kStoreWrite, Input::text(std::string_view("data/a\0b", 8))).status,
            NtStatus::kInvalidParameter);
  EXPECT_EQ(stored("data/a"), "(none)");
}

TEST_F(IfaceStoreTest, IFACE_003_WhatAnswersNothingTakesNoOutput) {
  store("data/a", "kept");
  EXPECT_EQ(call(*one_, Ioctl::kStoreWrite, texts("data/a", "b"), 1).status,
            NtStatus::kInvalidBufferSize);
  EXPECT_EQ(call(*one_, Ioctl::kStoreRemove, texts("data/a"), 1).status,
            NtStatus::kInvalidBufferSize);
  EXPECT_EQ(stored("data/a"), "kept");
}

TEST_F(IfaceStoreTest, IFACE_011_AnOutputThatIsTooShortGetsNothing) {
  store("data/a", "0123456789");
  const Reply none = call(*one_, Ioctl::kStoreRead, texts("data/a"), 0);
  EXPECT_EQ(none.status, NtStatus::kBufferOverflow);
  EXPECT_EQ(none.information, 11u) << "the length that would do";
  const Reply little = call(*one_, Ioctl::kStoreRead, texts("data/a"), 10);
  EXPECT_EQ(little.status, NtStatus::kInvalidParameter);
  EXPECT_EQ(little.information, 0u);
  EXPECT_EQ(std::memcmp(little.buffer.data(), "data/a", 7), 0) << "the buffer is as it was";
  EXPECT_EQ(call(*one_, Ioctl::kStoreRead, texts("data/a"), 11).status, NtStatus::kSuccess);
}

TEST_F(IfaceStoreTest, IFACE_011_AValueEndsAtItsFirstNul) {
  store("data/a", std::string_view("ab\0cd", 5));
  const Reply reply = call(*one_, Ioctl::kStoreRead, texts("data/a"), 64);
  EXPECT_EQ(reply.text(), std::string_view("ab\0", 3));
}

TEST_F(IfaceStoreTest, IFACE_012_ADirectoryIsAListOfNamesEndedByANul) {
  store("data/dir/a", "1");
  store("data/dir/bc", "2");
  const Reply none = call(*one_, Ioctl::kStoreDirectory, texts("data/dir"), 0);
  EXPECT_EQ(none.status, NtStatus::kBufferOverflow);
  EXPECT_EQ(none.information, 6u);
  const Reply reply = call(*one_, Ioctl::kStoreDirectory, texts("data/dir"), 6);
  EXPECT_EQ(reply.status, NtStatus::kSuccess);
  EXPECT_EQ(reply.text(), std::string_view("a\0bc\0\0", 6));
  const Reply empty = call(*one_, Ioctl::kStoreDirectory, texts("data/dir/a"), 64);
  EXPECT_EQ(empty.text(), std::string_view("\0\0", 2));
  EXPECT_EQ(call(*one_, Ioctl::kStoreDirectory, texts("data/dir"), 5).status,
            NtStatus::kInvalidParameter);
}

TEST_F(IfaceStoreTest, IFACE_013_APathByPointerIsReadOnceAndChecked) {
  const std::string_view path("data\0", 5);
  const UserAddress at = place(path);
  const std::vector<xeniface::StorePermission> list = {{guest_.domid(), 0}};
  const auto set = [&](UserAddress where, size_t length) {
    process_.reads = 0;
    const auto status =
        call(*one_, Ioctl::kStoreSetPermissions, permissions(where, length, 1, list)).status;
    EXPECT_LE(process_.reads, 1u);
    return status;
  };
  EXPECT_EQ(set(at, 5), NtStatus::kSuccess);
  EXPECT_EQ(set(at, 0), NtStatus::kInvalidParameter);
  EXPECT_EQ(set(at, 4), NtStatus::kInvalidParameter) << "the NUL is part of the length";
  EXPECT_EQ(set(at, 6), NtStatus::kAccessViolation) << "beyond the end of its memory";
  EXPECT_EQ(set(at, 3073), NtStatus::kInvalidParameter) << "looked at before any memory is";
  EXPECT_EQ(set(at, 0xffffffff), NtStatus::kInvalidParameter);
  EXPECT_EQ(set(0, 5), NtStatus::kAccessViolation);
  EXPECT_EQ(set(~UserAddress{0} - 2, 5), NtStatus::kAccessViolation);
}

TEST_F(IfaceStoreTest, IFACE_014_PermissionsReachTheStoreInTheirOrder) {
  store("data/shared", "x");
  const UserAddress at = place(std::string_view("data/shared\0", 12));
  const auto set = [&](uint32_t mask) {
    return call(*one_, Ioctl::kStoreSetPermissions,
                permissions(at, 12, 2, {{guest_.domid(), 0}, {peer_.id(), mask}}))
        .status;
  };
  const auto listed = [&] {
    std::string reply;
    host_.toolstack().store().request(XS_GET_PERMS, 0, in_guest("data/shared") + '\0', reply);
    return reply;
  };
  const std::string owner = "n" + std::to_string(guest_.domid());
  const std::string peer = std::to_string(peer_.id());
  for (const char* mode : {"n", "r", "w", "b"}) {
    EXPECT_EQ(set(static_cast<uint32_t>(std::strchr("nrwb", *mode) - "nrwb")), NtStatus::kSuccess);
    EXPECT_EQ(listed(), owner + '\0' + mode + peer + '\0');
  }
  for (const uint32_t mask : {4u, 0x80000001u}) EXPECT_EQ(set(mask), NtStatus::kInvalidParameter);
}

TEST_F(IfaceStoreTest, IFACE_014_TheNumberOfPermissionsIsThatOfTheBuffer) {
  const UserAddress at = place(std::string_view("data\0", 5));
  const std::vector<xeniface::StorePermission> one = {{guest_.domid(), 0}};
  const auto set = [&](const Input& input, size_t output = 0) {
    return call(*one_, Ioctl::kStoreSetPermissions, input, output).status;
  };
  for (const uint32_t count : {0u, 2u, 0x20000001u, 0xffffffffu}) {
    EXPECT_EQ(set(permissions(at, 5, count, one)), NtStatus::kInvalidBufferSize) << count;
  }
  EXPECT_EQ(set(permissions(at, 5, 0, {})), NtStatus::kInvalidBufferSize);
  EXPECT_EQ(set(permissions(at, 5, 1, one), 1), NtStatus::kInvalidBufferSize);
  EXPECT_EQ(set(permissions(at, 5, 1, one).resize(23)), NtStatus::kInvalidBufferSize);
  EXPECT_EQ(set(permissions(at, 5, 256, {256, {guest_.domid(), 0}})), NtStatus::kInvalidParameter);
  EXPECT_EQ(set(permissions(at, 5, 5, {5, {guest_.domid(), 0}})), NtStatus::kSuccess);
}

TEST_F(IfaceStoreTest, IFACE_015_TheStoresErrorsKeepTheirMeaning) {
  EXPECT_EQ(call(*one_, Ioctl::kStoreRead, texts("data/none"), 64).status,
            NtStatus::kObjectNameNotFound);
  EXPECT_EQ(call(*one_, Ioctl::kStoreRemove, texts("data/none/none")).status,
            NtStatus::kObjectNameNotFound);
  EXPECT_EQ(write("/local/domain/0/name", "mine"), NtStatus::kAccessDenied);
  EXPECT_EQ(write("data/a", std::string(4090, 'x')), NtStatus::kInvalidBufferSize);
}

TEST_F(IfaceStoreTest, IFACE_016_AWatchSetsTheEventAtOnceAndAtEachChange) {
  const uint32_t event = process_.create_event();
  const Reply reply = add_watch(*one_, process_, "data/watched", event);
  EXPECT_EQ(reply.status, NtStatus::kSuccess);
  const auto context = reply.as<uint64_t>();
  settle();
  EXPECT_EQ(process_.event(event).signals, 1);
  store("data/watched/below", "1");
  settle();
  EXPECT_EQ(process_.event(event).signals, 2);
  EXPECT_EQ(remove_watch(*one_, context), NtStatus::kSuccess);
  store("data/watched", "2");
  settle();
  EXPECT_EQ(process_.event(event).signals, 2);
  EXPECT_EQ(process_.event(event).references, 0);
  EXPECT_EQ(remove_watch(*one_, context), NtStatus::kNotFound);
}

TEST_F(IfaceStoreTest, IFACE_016_AWatchThatCannotBeLeavesNothing) {
  const uint32_t event = process_.create_event();
  EXPECT_EQ(add_watch(*one_, process_, "data", event + 4).status, NtStatus::kInvalidHandle);
  EXPECT_EQ(add_watch(*one_, process_, "da//ta", event).status, NtStatus::kInvalidParameter);
  EXPECT_EQ(process_.event(event).references, 0);
}

TEST_F(IfaceStoreTest, IFACE_016_AContextTellsNothingAboutTheKernel) {
  const uint32_t event = process_.create_event();
  const auto first = add_watch(*one_, process_, "data/a", event).as<uint64_t>();
  const auto second = add_watch(*one_, process_, "data/b", event).as<uint64_t>();
  EXPECT_EQ(second, first + 1) << "a number, not an address";
}

}  // namespace
}  // namespace ringside::conformance
