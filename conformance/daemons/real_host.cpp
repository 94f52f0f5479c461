#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

#include "conformance/daemons/store_host.hpp"
#include "conformance/daemons/temporary_folder.hpp"
#include "conformance/rig/host.hpp"

namespace ringside::conformance {
namespace {

namespace fs = std::filesystem;

// As in shim/shim.cpp.
constexpr uint32_t kExceptions = 900;
constexpr uint32_t kFirstInterdomain = 1000;
constexpr uint32_t kStorePort = 1;
constexpr size_t kPage = 4096;
constexpr int kPatienceMs = 60'000;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  return address;
}

/// Has the shim deliver an event at one of the daemon's ports.
void send_event(int fd, const std::string& folder, uint32_t port) {
  const sockaddr_un address = address_of(folder + "/daemon.events");
  while (sendto(fd, &port, sizeof(port), 0, reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) < 0) {
    if (errno != EINTR)
      throw RigError(std::string("the daemon can't be notified: ") + std::strerror(errno));
  }
}

class RealRing final : public StoreRing {
 public:
  RealRing(const std::string& folder, uint16_t domid)
      : folder_(folder), stem_(folder + "/dom" + std::to_string(domid)), domid_(domid) {
    fs::create_directories(folder);
    const int fd = open((stem_ + ".page").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, kPage) != 0) throw RigError("no file for a store page");
    page_ = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    events_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = address_of(stem_ + ".events");
    if (page_ == MAP_FAILED || events_ < 0 ||
        bind(events_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      throw RigError("no store page or event socket");
    }
  }
  ~RealRing() override {
    munmap(page_, kPage);
    close(events_);
    fs::remove(stem_ + ".page");
    fs::remove(stem_ + ".events");
  }

  xenstore_domain_interface& page() override {
    return *static_cast<xenstore_domain_interface*>(page_);
  }
  void notify() override { send_event(events_, folder_, kFirstInterdomain + domid_); }
  bool wait() override {
    pollfd readable{events_, POLLIN, 0};
    if (poll(&readable, 1, kPatienceMs) != 1) return false;
    char event;
    return recv(events_, &event, sizeof(event), 0) == 1;
  }
  const std::string& stem() const { return stem_; }

 private:
  std::string folder_;
  std::string stem_;
  uint16_t domid_;
  void* page_ = nullptr;
  int events_ = -1;
};

class RealHost final : public StoreHost {
 public:
  RealHost(std::string daemon, const std::string& shim)
      : name_(std::move(daemon)),
        socket_(folder_.path() + "/socket"),
        exceptions_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const std::string program = "/usr/lib/xen-4.17/bin/" + name_;
    if (access(program.c_str(), X_OK) != 0) {
      throw NotInstalled(program + " is not there (package xen-utils-4.17)");
    }
    start(program, shim);
    try {
      await_socket();
    } catch (...) {
      stop();
      throw;
    }
  }
  ~RealHost() override {
    stop();
    close(exceptions_);
  }

  const std::string& name() const override { return name_; }
  const std::string& socket() const override { return socket_; }
  void create_domain(uint16_t domid) override {
    rings_.emplace(domid, std::make_unique<RealRing>(folder_.path(), domid));
  }
  uint64_t store_frame(uint16_t) override { return 1; }  // the shim goes by the domain
  uint32_t store_port(uint16_t) override { return kStorePort; }
  StoreRing& ring(uint16_t domid) override { return *rings_.at(domid); }
  void shut_down(uint16_t domid) override {
    std::ofstream(rings_.at(domid)->stem() + ".shutdown").flush();
    send_event(exceptions_, folder_.path(), kExceptions);
  }
  void destroy(uint16_t domid) override {
    rings_.erase(domid);
    send_event(exceptions_, folder_.path(), kExceptions);
  }

 private:
  std::vector<std::string> arguments(const std::string& program) const {
    if (name_ == "xenstored") return {program, "-N"};
    const std::string settings = folder_.path() + "/oxenstored.conf";
    std::ofstream(settings) << "pid-file = " << folder_.path() << "/pid\n"
                            << "xenstored-log-file = " << folder_.path() << "/messages\n"
                            << "xenstored-kva = /proc/xen/xsd_kva\n"
                            << "xenstored-port = /proc/xen/xsd_port\n"
                            << "quota-maxwatch = 128\n";  // as xenstored has it
    return {program, "--no-fork", "--config-file", settings};
  }

  void start(const std::string& program, const std::string& shim) {
    const std::vector<std::string> words = arguments(program);
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const std::string log = folder_.path() + "/log";
    child_ = fork();
    if (child_ < 0) throw RigError("no process for the daemon");
    if (child_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int null = open("/dev/null", O_RDONLY);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    setenv("RINGSIDE_DAEMON_DIR", folder_.path().c_str(), 1);
    setenv("XENSTORED_RUNDIR", folder_.path().c_str(), 1);
    setenv("XENSTORED_PATH", socket_.c_str(), 1);
    setenv("LD_PRELOAD", shim.c_str(), 1);
    execv(argv[0], argv.data());
    _exit(127);
  }

  /// Neither daemon says when it listens.
  void await_socket() {
    using namespace std::chrono_literals;
    for (int tries = 0; tries < 3000; ++tries) {
      if (connect_socket(socket_) != nullptr) return;
      int status = 0;
      if (waitpid(child_, &status, WNOHANG) == child_) {
        child_ = -1;
        break;
      }
      std::this_thread::sleep_for(10ms);
    }
    std::stringstream said;
    said << std::ifstream(folder_.path() + "/log").rdbuf();
    throw RigError(name_ + " did not start: " + said.str());
  }

  void stop() {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    child_ = -1;
  }

  std::string name_;
  TemporaryFolder folder_;
  std::string socket_;
  int exceptions_;
  pid_t child_ = -1;
  std::map<uint16_t, std::unique_ptr<RealRing>> rings_;
};

}  // namespace

std::unique_ptr<StoreHost> real_store_host(const std::string& daemon, const std::string& shim) {
  return std::make_unique<RealHost>(daemon, shim);
}

}  // namespace ringside::conformance
