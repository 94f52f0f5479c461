#include "sim/toolstack/xl_devices.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace ringside::sim {
namespace {

/// What the sentence says that refuses `text`.
template <typename Parse>
std::string refusal(Parse parse) {
  try {
    parse();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "(taken)";
}

TEST(VdevTest, NumbersAreThoseOfTheInterfaceDocument) {
  const std::pair<const char*, unsigned> kKnown[] = {
      {"xvda", 51712},
      {"xvda1", 51713},
      {"xvda15", 51727},
      {"xvdb", 51728},
      {"xvdp", 51952},
      {"xvdp15", 51967},
      {"xvda16", 268435472},
      {"xvdq", 268439552},
      {"xvdz", 268441856},
      {"xvdaa", 268442112},
      {"xvdaz3", 268448515},
      {"d0", 51712},
      {"d0p1", 51713},
      {"d16", 268439552},
      {"d1p16", 268435728},
      {"hda", 768},
      {"hda63", 831},
      {"hdb", 832},
      {"hdc", 5632},
      {"hdd1", 5697},
      {"sda", 2048},
      {"sdb3", 2067},
      {"sdp15", 2303},
      {"51712", 51712},
      {"0", 0},
  };
  for (const auto& [name, number] : kKnown) EXPECT_EQ(vdev_number(name), number) << name;
}

TEST(VdevTest, WhatIsNoDeviceIsRefused) {
  for (const char* name :
       {"", "xvd", "xvd1", "xvdA", "xvda0", "xvda256", "xvda1x", "hde", "hda64", "sdq", "sda16",
        "dp1", "d1p", "d1048576", "x", "12x", "-1", "xvdzzzzzz", "99999999999"}) {
    EXPECT_NE(refusal([&] { vdev_number(name); }).find("is no virtual device"), std::string::npos)
        << name;
  }
}

TEST(XlVifTest, WhatIsNotSaidIsAsXlMakesIt) {
  const VifConfig vif = parse_vif("", 3);
  EXPECT_EQ(vif.handle, 3u);
  EXPECT_EQ(vif.mac, "00:16:3e:00:00:04");
  EXPECT_EQ(vif.bridge, "xenbr0");
  EXPECT_EQ(vif.type, "vif_ioemu");
  EXPECT_EQ(vif.backend_domid, 0);
}

TEST(XlVifTest, EachKeyGoesWhereItBelongs) {
  const VifConfig vif = parse_vif(
      " mac=00:16:3E:AB:cd:0f , bridge=br1,script=vif-route,type=vif,backend=2,model=e1000,"
      "vifname=v1,rate=10Mb/s,ip=10.0.0.1",
      0);
  EXPECT_EQ(vif.mac, "00:16:3e:ab:cd:0f");
  EXPECT_EQ(vif.bridge, "br1");
  EXPECT_EQ(vif.script, "/etc/xen/scripts/vif-route");
  EXPECT_EQ(vif.type, "vif");
  EXPECT_EQ(vif.backend_domid, 2);
  EXPECT_EQ(parse_vif("backend=Domain-0", 0).backend_domid, 0);
}

TEST(XlVifTest, WhatIsWrongIsSaid) {
  const std::pair<const char*, const char*> kWrong[] = {
      {"mac=00:16:3e", "is no address"},     {"mac=00-16-3e-00-00-01", "is no address"},
      {"mac=01:16:3e:00:00:01", "even"},     {"type=tap", "ioemu or vif"},
      {"backend=router", "give its number"}, {"color=red", "has no 'color'"},
      {"xenbr0", "has no 'xenbr0'"},         {"mac=00:16:3e:00:00:01,", "has no"}};
  for (const auto& wrong : kWrong) {
    const std::string said = refusal([&] { parse_vif(wrong.first, 0); });
    EXPECT_NE(said.find(wrong.second), std::string::npos) << wrong.first << ": " << said;
  }
}

struct DiskCase {
  const char* text;
  unsigned vdev;
  const char* type;
  const char* params;
  const char* mode;
  const char* device_type;
};

TEST(XlDiskTest, AllFormsOfTheManualAreUnderstood) {
  const DiskCase kCases[] = {
      {"/dev/vg/guest-volume,,hda", 768, "vbd", "/dev/vg/guest-volume", "w", "disk"},
      {"/dev/vg/guest-volume,raw,hda,rw", 768, "vbd", "/dev/vg/guest-volume", "w", "disk"},
      {"format=raw, vdev=hda, access=rw, target=/dev/vg/guest-volume", 768, "vbd",
       "/dev/vg/guest-volume", "w", "disk"},
      {"/root/image.iso,,hdc,cdrom", 5632, "qdisk", "aio:/root/image.iso", "r", "cdrom"},
      {"format=raw, vdev=hdc, access=ro, devtype=cdrom, target=/root/image.iso", 5632, "qdisk",
       "aio:/root/image.iso", "r", "cdrom"},
      {"/img/a.qcow2,qcow2,xvdb,w", 51728, "qdisk", "qcow2:/img/a.qcow2", "w", "disk"},
      {"vdev=xvda,target=/img/with,comma=1.raw", 51712, "qdisk", "aio:/img/with,comma=1.raw", "w",
       "disk"},
      {"backendtype=qdisk,vdev=xvda,access=r,target=/dev/sda", 51712, "qdisk", "aio:/dev/sda", "r",
       "disk"},
      {"qcow2:/img/a,,xvda", 51712, "qdisk", "qcow2:/img/a", "w", "disk"},
      {",empty,hdc,cdrom", 5632, "qdisk", "empty:", "r", "cdrom"}};
  for (const DiskCase& one : kCases) {
    const VbdConfig vbd = parse_disk(one.text);
    EXPECT_EQ(vbd.vdev, one.vdev) << one.text;
    EXPECT_EQ(vbd.type, one.type) << one.text;
    EXPECT_EQ(vbd.params, one.params) << one.text;
    EXPECT_EQ(vbd.mode, one.mode) << one.text;
    EXPECT_EQ(vbd.device_type, one.device_type) << one.text;
  }
}

TEST(XlDiskTest, TheOldOrderIsUnderstood) {
  const VbdConfig vbd = parse_disk("phy:/dev/vg/guest-volume,hda,w");
  EXPECT_EQ(vbd.vdev, 768u);
  EXPECT_EQ(vbd.type, "vbd");
  EXPECT_EQ(vbd.params, "/dev/vg/guest-volume");
  EXPECT_EQ(vbd.mode, "w");
  const VbdConfig cdrom = parse_disk("file:/root/image.iso,hdc:cdrom,r");
  EXPECT_EQ(cdrom.vdev, 5632u);
  EXPECT_EQ(cdrom.device_type, "cdrom");
  EXPECT_EQ(cdrom.params, "aio:/root/image.iso");
}

TEST(XlDiskTest, DiscardAndBackEndAreTaken) {
  EXPECT_TRUE(parse_disk("/dev/a,,xvda").discard);
  EXPECT_FALSE(parse_disk("/dev/a,,xvda,w,no-discard").discard);
  EXPECT_EQ(parse_disk("vdev=xvda,backend=5,target=/dev/a").backend_domid, 5);
}

TEST(XlDiskTest, WhatIsWrongIsSaid) {
  const std::pair<const char*, const char*> kWrong[] = {
      {"/dev/a", "has no vdev"},
      {"", "has no vdev"},
      {",,xvda", "has no target"},
      {"/dev/a,zip,xvda", "format is raw"},
      {"/dev/a,,xvda,x", "access is r or w"},
      {"/dev/a,,xvda,w,fast", "one word too many"},
      {"/dev/a,,sdz", "no virtual device"},
      {"vdev=xvda,size=5,target=/dev/a", "has no 'size'"},
      {"vdev=xvda,devtype=tape,target=/dev/a", "disk or cdrom"},
      {"vdev=xvda,backendtype=tap,target=/dev/a", "phy or qdisk"},
      {"vdev=xvda,backendtype=phy,format=qcow2,target=/dev/a", "raw disks only"}};
  for (const auto& wrong : kWrong) {
    const std::string said = refusal([&] { parse_disk(wrong.first); });
    EXPECT_NE(said.find(wrong.second), std::string::npos) << wrong.first << ": " << said;
  }
}

}  // namespace
}  // namespace ringside::sim
