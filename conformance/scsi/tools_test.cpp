#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "conformance/daemons/temporary_folder.hpp"
#include "conformance/scsi/unit_rig.hpp"

namespace ringside::conformance {
namespace {

/// The answers of a unit as sg3_utils and sdparm read them.
class ScsiToolsTest : public UnitRig {
 protected:
  /// What `command` prints, standard error too, with FILE the name of a file that holds
  /// `bytes`. Anything but exit code 0 is a failure.
  std::string judged(std::string command, std::span<const std::byte> data) {
    const std::string file = folder_.path() + "/answer";
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(data.data()), static_cast<long>(data.size()));
    command.replace(command.find("FILE"), 4, file);
    std::string text;
    FILE* pipe = popen((command + " 2>&1 </dev/null").c_str(), "r");
    if (pipe == nullptr) return "no shell";
    std::array<char, 4096> buffer;
    for (size_t count; (count = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
      text.append(buffer.data(), count);
    }
    EXPECT_EQ(pclose(pipe), 0) << command << "\n" << text;
    for (const char* complaint :
         {"warn", "bad ", "truncat", "short", "unable", "malformed", "unexpected", "reserved"}) {
      EXPECT_EQ(text.find(complaint), std::string::npos) << command << "\n" << text;
    }
    return text;
  }
  static bool is_installed(const std::string& tool) {
    return system(("command -v " + tool + " >/dev/null").c_str()) == 0;
  }
  std::string page(unsigned code) {
    const Outcome outcome = run({0x12, 1, code, 4, 0, 0}, 1024);
    return judged("sg_vpd --raw --inhex=FILE", std::span(outcome.data).first(outcome.transferred));
  }
  static void expect_lines(const std::string& text, std::initializer_list<const char*> lines) {
    for (const char* line : lines) {
      EXPECT_NE(text.find(line), std::string::npos) << line << "\nis not in\n" << text;
    }
  }

  TemporaryFolder folder_;
};

TEST_F(ScsiToolsTest, SCSI_010_SgInqReadsTheInquiryData) {
  if (!is_installed("sg_inq")) GTEST_SKIP() << "no sg_inq: apt-get install sg3-utils";
  medium_.properties.removable = true;
  const Outcome outcome = run({0x12, 0, 0, 0, 255, 0});
  expect_lines(judged("sg_inq --raw --descriptors --inhex=FILE", std::span(outcome.data).first(74)),
               {"PQual=0  PDT=0  RMB=1", "[SPC-4]", "Resp_data_format=2", "CmdQue=1",
                "length=74 (0x4a)", "Peripheral device type: disk", "Vendor identification: XENSRC",
                "identification: PVDISK", "revision level: 2.0", "SAM-5", "SPC-4", "SBC-3"});
}

TEST_F(ScsiToolsTest, SCSI_011_SCSI_012_SCSI_013_SgVpdReadsThePages) {
  if (!is_installed("sg_vpd")) GTEST_SKIP() << "no sg_vpd: apt-get install sg3-utils";
  medium_.properties.physical_sector_size = 4096;
  medium_.properties.discard = {.supported = true, .granularity = 65536, .alignment = 512};
  expect_lines(page(0x00), {"[sv]", "[sn]", "[di]", "[bl]", "[bdc]", "[lbpv]"});
  expect_lines(page(0x80), {"Unit serial number: 0007"});
  expect_lines(page(0x83), {"Addressed logical unit", "T10 vendor identification", "XENSRC",
                            "vendor specific: 00000007"});
  expect_lines(
      page(0xb0),
      {"Optimal transfer length granularity: 8 blocks", "Maximum transfer length: 0 blocks",
       "LBA count: -1 [unbounded]", "Maximum unmap block descriptor count: 256",
       "Optimal unmap granularity: 128 blocks", "Unmap granularity alignment: 1"});
  expect_lines(page(0xb1), {"Non-rotating medium"});
  expect_lines(page(0xb2), {"(LBPU): 1", "Provisioning type: 2 (thin provisioned)"});
}

TEST_F(ScsiToolsTest, SCSI_050_SCSI_051_SdparmReadsTheModePages) {
  if (!is_installed("sdparm")) GTEST_SKIP() << "no sdparm: apt-get install sdparm";
  const Outcome six = run({0x1a, 0, 0x3f, 0, 255, 0});
  const Outcome ten = run({0x5a, 0, 0x3f, 0, 0, 0, 0, 1, 0, 0});
  const std::string of_six = judged("sdparm --six --raw --all --pdt=0 --inhex=FILE",
                                    std::span(six.data).first(six.transferred));
  expect_lines(of_six, {"Caching (SBC) mode page", "WCE           1", "Informational exceptions",
                        "DEXCPT        1"});
  EXPECT_EQ(of_six, judged("sdparm --raw --all --pdt=0 --inhex=FILE",
                           std::span(ten.data).first(ten.transferred)));
}

TEST_F(ScsiToolsTest, SCSI_002_SCSI_003_SgDecodeSenseReadsTheSenseData) {
  if (!is_installed("sg_decode_sense")) GTEST_SKIP() << "no such tool: apt-get install sg3-utils";
  const auto decoded = [&](const xenvbd::Sense& sense) {
    std::string text = judged("sg_decode_sense --binary=FILE", sense.bytes());
    EXPECT_NE(text.find("Fixed format, current"), std::string::npos) << text;
    return text;
  };
  expect_lines(decoded({}), {"No Sense"});
  expect_lines(decoded(xenvbd::kBecomingReady), {"Not Ready", "in process of becoming ready"});
  expect_lines(decoded(xenvbd::kMediumNotPresent), {"Not Ready", "Medium not present"});
  expect_lines(decoded(xenvbd::kWriteError), {"Medium Error", "Write error"});
  expect_lines(decoded(xenvbd::kUnrecoveredReadError), {"Medium Error", "Unrecovered read error"});
  expect_lines(decoded(xenvbd::kInternalTargetFailure),
               {"Hardware Error", "Internal target failure"});
  expect_lines(decoded(xenvbd::kParameterListLengthError), {"Parameter list length error"});
  expect_lines(decoded(xenvbd::kInvalidOpcode),
               {"Illegal Request", "Invalid command operation code"});
  expect_lines(decoded(xenvbd::kLbaOutOfRange), {"Logical block address out of range"});
  expect_lines(decoded(xenvbd::kLogicalUnitNotSupported), {"Logical unit not supported"});
  expect_lines(decoded(xenvbd::kSavingNotSupported), {"Saving parameters not supported"});
  expect_lines(decoded(xenvbd::kRemovalPrevented), {"Medium removal prevented"});
  expect_lines(decoded(xenvbd::kMediumMayHaveChanged),
               {"Unit Attention", "medium may have changed"});
  expect_lines(decoded(xenvbd::kCapacityChanged), {"Unit Attention", "Capacity data has changed"});
  expect_lines(decoded(xenvbd::kWriteProtected), {"Data Protect", "Write protected"});
  expect_lines(decoded(xenvbd::invalid_cdb(1, 7)),
               {"Invalid field in cdb", "Error in Command: byte 1 bit 7"});
  expect_lines(decoded(xenvbd::invalid_parameter(26)),
               {"Invalid field in parameter list", "Error in Data parameters: byte 26"});
}

}  // namespace
}  // namespace ringside::conformance
