#include "proxy/gateway.hpp"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "io/files.hpp"
#include "io/rpc.hpp"
#include "proxy/commands.hpp"
#include "proxy/handoff.hpp"
#include "proxy/planes.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;

std::string gateway_socket_path(const std::string& state_dir, const std::string& name) {
  return fmt::format("{}/gateway-{}.sock", state_dir, name);
}
std::string gateway_state_path(const std::string& state_dir, const std::string& name) {
  return fmt::format("{}/gateway-{}.json", state_dir, name);
}
std::string gateway_lock_path(const std::string& state_dir, const std::string& name) {
  return fmt::format("{}/gateway-{}.lock", state_dir, name);
}

namespace {

// Sessions that were cancelled end within a few turns of the loop; this is for a machine that swaps.
constexpr Millis kCancelTimeout{2000};
constexpr Millis kPoll{5};
constexpr Millis kLook{50};

// Not a decision and not to be replayed: an incarnation must differ from every one before it, and so must the draws.
std::uint64_t from_the_system() {
  std::uint64_t value = 0;
  FS_ASSERT(getrandom(&value, sizeof value, 0) == sizeof value);
  return value;
}

GatewaySettings with_threads(GatewaySettings settings) {
  for (auto& listener : settings.listeners) listener.threads = settings.threads;
  return settings;
}

// Every client costs two descriptors, and the customary soft limit of 1024 is for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) log::warn("cannot raise the limit of open files to {}", limit.rlim_max);
}

// A socket that was handed over is of use only where the configuration still wants it.
bool listens_at(int socket, const Endpoint& wanted) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return false;
  asio::ip::tcp::endpoint at;
  at.resize(size);
  std::memcpy(at.data(), &address, size);
  const auto host = wanted.host == "localhost" ? "127.0.0.1" : wanted.host;
  boost::system::error_code error;
  return at.address() == asio::ip::make_address(host, error) && !error &&
         (wanted.port == 0 || at.port() == wanted.port);
}

class Running final : public Gateway {
 public:
  Running(GatewaySettings settings, std::shared_ptr<Predecessor> predecessor)
      : settings_(with_threads(std::move(settings))),
        predecessor_(std::move(predecessor)),
        incarnation_(fmt::format("{:016x}", from_the_system())),
        planes_(std::make_unique<Planes>(static_cast<std::size_t>(settings_.threads), from_the_system())) {}
  ~Running() override;

  // Everything that may fail because of the settings: until it has succeeded the process before this one serves on.
  Result<void> prepare(const ProtocolFactory& protocols);
  Result<void> start(io::FileLock lock);
  void wait(std::stop_token stop) override;
  const std::string& incarnation() const override { return incarnation_; }
  Endpoint endpoint(const ResourceId& resource) const override;

 private:
  void add(std::size_t index, std::optional<GateState> booted);
  Result<std::optional<GateState>> abreast(GateStore& store, const ListenerSettings& listener) const;
  Result<void> give_up();
  void hurry();
  bool wait_for_sessions(Millis timeout);

  const GatewaySettings settings_;
  const std::shared_ptr<Predecessor> predecessor_;
  std::optional<io::FileLock> lock_;
  const std::string incarnation_;
  // Outlives the planes: its end tells a successor that nothing is in flight here any more.
  std::unique_ptr<HandoffServer> handoff_;
  std::vector<io::Fd> sockets_;  // one a listener, until its listener has it
  std::unique_ptr<Planes> planes_;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<io::RpcServer> control_;
  bool started_ = false;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool handed_over_ = false;
  bool hurried_ = false;
};

Result<void> Running::prepare(const ProtocolFactory& protocols) {
  for (const auto& listener : settings_.listeners) {
    FS_CHECK(planes_->prepare(listener, protocols));
    io::Fd socket = predecessor_ ? predecessor_->take(listener.resource) : io::Fd{};
    if (socket && !listens_at(socket.get(), listener.listen)) socket.reset();
    if (!socket) {
      FS_TRY(fresh, listen_at(listener));
      socket = std::move(fresh);
    }
    sockets_.push_back(std::move(socket));
  }
  return {};
}

// What the file says, or less: a file that was lost, or a gateway that is new in the path, knows of no handover before
// it.
Result<std::optional<GateState>> Running::abreast(GateStore& store, const ListenerSettings& listener) const {
  auto booted = store.find(listener.resource);
  // After a takeover the file is the predecessor's of a moment ago, and clients wait in the sockets' queues.
  if (!settings_.epoch_elsewhere || predecessor_) return booted;
  const auto elsewhere = settings_.epoch_elsewhere(listener.resource);
  const auto known = !booted ? 0 : booted->seal ? booted->seal->next_epoch : booted->table.epoch;
  if (elsewhere <= known || (booted && booted->behind && booted->behind->epoch >= elsewhere)) return booted;
  if (!booted) {
    booted.emplace();
    booted->table.resource = listener.resource;
    booted->table.current = listener.primary;
  }
  log::warn("{}: others are at epoch {}, the state file at {}", listener.resource, elsewhere, booted->table.epoch);
  booted->hold.reset();
  booted->seal.reset();
  booted->behind = BehindRecord{elsewhere, kParkMaxBehind};
  FS_CHECK(store.save(listener.resource, *booted));
  return booted;
}

void Running::add(std::size_t index, std::optional<GateState> booted) {
  const auto& listener = settings_.listeners[index];
  if (booted) {
    log::info("{}: boots into epoch {} version {}, current {}{}", listener.resource, booted->table.epoch,
              booted->table.version, booted->table.current.id,
              booted->behind ? fmt::format(", serves nothing before a table of epoch {}", booted->behind->epoch)
              : booted->seal ? fmt::format(", sealed for epoch {}", booted->seal->next_epoch)
              : booted->hold ? fmt::format(", the hold for epoch {} ended with the process", booted->hold->next_epoch)
                             : "");
    if (booted->table.current.id == listener.primary.id && booted->table.current.endpoint != listener.primary.endpoint)
      log::warn(
          "{}: {} is at {} in the last table but at {} in the configuration; the table holds until a controller "
          "says otherwise",
          listener.resource, listener.primary.id, booted->table.current.endpoint.text(),
          listener.primary.endpoint.text());
  }
  planes_->add(listener, std::move(sockets_[index]), booted);
}

Result<void> Running::start(io::FileLock lock) {
  lock_ = std::move(lock);
  FS_TRY(store, GateStore::open(gateway_state_path(settings_.state_dir, settings_.name)));
  if (auto ready = store.prepare(); !ready) log::warn("gateway {}: {}", settings_.name, ready.error().what);
  for (std::size_t i = 0; i < settings_.listeners.size(); ++i) {
    FS_TRY(booted, abreast(store, settings_.listeners[i]));
    add(i, std::move(booted));
  }
  const auto unfinished = [before = predecessor_]() -> Result<void> {
    if (!before || !before->alive()) return {};
    before->hurry();
    return fail(Code::refused,
                "the process before this one still finishes its sessions, and has been told to end them");
  };
  commands_ = std::make_unique<Commands>(planes_->gates(), std::move(store), GatewayAck{settings_.name, incarnation_},
                                         unfinished);
  planes_->start();
  started_ = true;
  FS_TRY(control, io::RpcServer::listen(gateway_socket_path(settings_.state_dir, settings_.name),
                                        [this](const nlohmann::json& request) { return commands_->handle(request); }));
  control_ = std::move(control);
  FS_TRY(handoff, HandoffServer::listen(
                      handoff_socket_path(settings_.state_dir, settings_.name),
                      {[this] { return planes_->offer(); }, [this] { return give_up(); }, [this] { hurry(); }}));
  handoff_ = std::move(handoff);
  return {};
}

Result<void> Running::give_up() {
  FS_CHECK(commands_->retire());
  control_.reset();
  planes_->stop_accepting();
  planes_->retire();
  // The state file is the successor's from here on.
  lock_.reset();
  const std::lock_guard lock(mutex_);
  handed_over_ = true;
  changed_.notify_all();
  return {};
}

void Running::hurry() {
  const std::lock_guard lock(mutex_);
  hurried_ = true;
  changed_.notify_all();
}

void Running::wait(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, stop, [this] { return handed_over_; });
  if (!handed_over_) return;
  log::info("gateway {}: another process has taken over; {} ms for the sessions that are left", settings_.name,
            settings_.retire_timeout.count());
  const auto until = std::chrono::steady_clock::now() + settings_.retire_timeout;
  while (!stop.stop_requested() && !hurried_ && std::chrono::steady_clock::now() < until) {
    if (planes_->sessions() == 0) return;
    changed_.wait_for(lock, stop, kLook, [this] { return hurried_; });
  }
}

Endpoint Running::endpoint(const ResourceId& resource) const {
  for (std::size_t i = 0; i < settings_.listeners.size(); ++i)
    if (settings_.listeners[i].resource == resource) {
      const auto at = planes_->endpoint(i);
      return {at.address().to_string(), at.port()};
    }
  return {};
}

bool Running::wait_for_sessions(Millis timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    if (planes_->sessions() == 0) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPoll);
  }
}

Running::~Running() {
  if (handoff_) handoff_->stop();
  if (!started_) return;
  // First, so that nobody is on the way to a thread that has been told to end.
  planes_->stop_accepting();
  planes_->close();
  control_.reset();
  bool ended = wait_for_sessions(settings_.drain_timeout);
  if (!ended) {
    log::warn("gateway {}: sessions still busy after {} ms are cut", settings_.name, settings_.drain_timeout.count());
    planes_->cancel_sessions();
    ended = wait_for_sessions(kCancelTimeout);
  }
  planes_->stop();
  if (!ended) {
    // Its frames hold references to what would be destroyed below. The process is on its way out: leak, do not crash.
    log::error("gateway {}: a session ignores cancellation", settings_.name);
    Planes::leak(std::move(planes_));
  }
}

}  // namespace

Result<std::unique_ptr<Gateway>> Gateway::start(GatewaySettings settings, const ProtocolFactory& protocols) {
  FS_CHECK(io::make_directory(settings.state_dir));
  const auto lock_path = gateway_lock_path(settings.state_dir, settings.name);
  std::shared_ptr<Predecessor> predecessor;
  if (settings.take_over) {
    FS_TRY(found, Predecessor::find(handoff_socket_path(settings.state_dir, settings.name)));
    predecessor = std::move(found);
  }
  if (settings.threads < 1 || settings.threads > kThreadsMax)
    return fail(Code::invalid, fmt::format("a gateway has 1 to {} threads, not {}", kThreadsMax, settings.threads));
  const auto gateway_name = settings.name;
  std::optional<io::FileLock> lock;
  if (!predecessor) {
    FS_TRY(taken, io::FileLock::take(lock_path));
    lock = std::move(taken);
  }
  auto gateway = std::make_unique<Running>(std::move(settings), predecessor);
  FS_CHECK(gateway->prepare(protocols));
  if (predecessor) {
    FS_CHECK(predecessor->ready());
    FS_TRY(taken, io::FileLock::take(lock_path));
    lock = std::move(taken);
    log::info("gateway {}: has taken over from the process before it", gateway_name);
  }
  FS_CHECK(gateway->start(std::move(*lock)));
  return std::unique_ptr<Gateway>(std::move(gateway));
}

Result<void> Gateway::run(GatewaySettings settings, const ProtocolFactory& protocols, std::stop_token stop) {
  raise_descriptor_limit();
  FS_TRY(gateway, start(std::move(settings), protocols));
  gateway->wait(std::move(stop));
  return {};
}

}  // namespace foreshadow::proxy
