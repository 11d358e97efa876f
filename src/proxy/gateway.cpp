#include "proxy/gateway.hpp"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/resource.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "io/files.hpp"
#include "io/rpc.hpp"
#include "proxy/commands.hpp"
#include "proxy/listener.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;

std::string gateway_socket_path(const std::string& state_dir, const std::string& name) {
  return fmt::format("{}/gateway-{}.sock", state_dir, name);
}
std::string gateway_state_path(const std::string& state_dir, const std::string& name) {
  return fmt::format("{}/gateway-{}.json", state_dir, name);
}

namespace {

// Sessions that were cancelled end within a few turns of the loop; this is for a machine that swaps.
constexpr Millis kCancelTimeout{2000};
constexpr Millis kPoll{5};

// Not a decision and not to be replayed: an incarnation must differ from every one before it, and so must the draws.
std::uint64_t from_the_system() {
  std::uint64_t value = 0;
  FS_ASSERT(getrandom(&value, sizeof value, 0) == sizeof value);
  return value;
}

// Every client costs two descriptors, and the customary soft limit of 1024 is for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) log::warn("cannot raise the limit of open files to {}", limit.rlim_max);
}

// Everything that the one thread touches, in an order of construction that destroys listeners (and with them the last
// sockets), then protocols, then gates, and the context after all of them.
struct Plane {
  asio::io_context context{1};
  Commands::Gates gates;
  Commands::Protocols protocols;
  std::vector<std::unique_ptr<Listener>> listeners;

  std::size_t sessions() const {
    std::size_t sum = 0;
    for (const auto& listener : listeners) sum += listener->sessions();
    return sum;
  }
};

class Running final : public Gateway {
 public:
  Running(GatewaySettings settings, io::FileLock lock)
      : settings_(std::move(settings)),
        lock_(std::move(lock)),
        incarnation_(fmt::format("{:016x}", from_the_system())),
        plane_(std::make_unique<Plane>()) {}
  ~Running() override;

  Result<void> start(const ProtocolFactory& protocols);
  const std::string& incarnation() const override { return incarnation_; }
  Endpoint endpoint(const ResourceId& resource) const override;

 private:
  Result<void> add(const ListenerSettings& listener, std::optional<GateState> booted, const ProtocolFactory& protocols);
  void on_loop(const std::function<void()>& call);
  bool wait_for_sessions(Millis timeout);

  const GatewaySettings settings_;
  io::FileLock lock_;
  const std::string incarnation_;
  std::unique_ptr<Plane> plane_;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<io::RpcServer> control_;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_;
  std::thread thread_;
};

Result<void> Running::add(const ListenerSettings& listener, std::optional<GateState> booted,
                          const ProtocolFactory& protocols) {
  if (plane_->gates.contains(listener.resource))
    return fail(Code::invalid, fmt::format("resource '{}' is listed twice", listener.resource));
  if (booted) {
    log::info("{}: boots into epoch {} version {}, current {}{}", listener.resource, booted->table.epoch,
              booted->table.version, booted->table.current.id,
              booted->seal   ? fmt::format(", sealed for epoch {}", booted->seal->next_epoch)
              : booted->hold ? fmt::format(", the hold for epoch {} ended with the process", booted->hold->next_epoch)
                             : "");
    if (booted->table.current.id == listener.primary.id && booted->table.current.endpoint != listener.primary.endpoint)
      log::warn(
          "{}: {} is at {} in the last table but at {} in the configuration; the table holds until a controller "
          "says otherwise",
          listener.resource, listener.primary.id, booted->table.current.endpoint.text(),
          listener.primary.endpoint.text());
  }
  GateSettings gate{listener.resource, listener.segments, listener.primary, listener.parked_max, from_the_system()};
  auto& made = plane_->gates[listener.resource] =
      std::make_unique<GateImpl>(plane_->context.get_executor(), gate, std::move(booted));
  FS_TRY(protocol, protocols(listener, plane_->context.get_executor()));
  if (!protocol) return fail(Code::invalid, fmt::format("{}: its kind refuses the settings", listener.resource));
  auto& kept = plane_->protocols[listener.resource] = std::move(protocol);
  plane_->listeners.push_back(std::make_unique<Listener>(plane_->context, listener, *made, *kept));
  return plane_->listeners.back()->open();
}

Result<void> Running::start(const ProtocolFactory& protocols) {
  FS_TRY(store, GateStore::open(gateway_state_path(settings_.state_dir, settings_.name)));
  for (const auto& listener : settings_.listeners) FS_CHECK(add(listener, store.find(listener.resource), protocols));
  commands_ = std::make_unique<Commands>(plane_->context, plane_->gates, plane_->protocols, std::move(store),
                                         GatewayAck{settings_.name, incarnation_});
  work_.emplace(plane_->context.get_executor());
  for (const auto& listener : plane_->listeners) listener->start();
  thread_ = std::thread([this] { plane_->context.run(); });
  FS_TRY(control, io::RpcServer::listen(gateway_socket_path(settings_.state_dir, settings_.name),
                                        [this](const nlohmann::json& request) { return commands_->handle(request); }));
  control_ = std::move(control);
  return {};
}

Endpoint Running::endpoint(const ResourceId& resource) const {
  for (std::size_t i = 0; i < settings_.listeners.size(); ++i)
    if (settings_.listeners[i].resource == resource) {
      const auto at = plane_->listeners[i]->endpoint();
      return {at.address().to_string(), at.port()};
    }
  return {};
}

void Running::on_loop(const std::function<void()>& call) {
  std::promise<void> done;
  asio::post(plane_->context, [&] {
    call();
    done.set_value();
  });
  done.get_future().get();
}

bool Running::wait_for_sessions(Millis timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    std::size_t left = 0;
    on_loop([&] { left = plane_->sessions(); });
    if (left == 0) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPoll);
  }
}

Running::~Running() {
  if (!thread_.joinable()) return;
  on_loop([&] {
    for (const auto& listener : plane_->listeners) listener->stop_accepting();
    for (const auto& [resource, gate] : plane_->gates) gate->close();
    for (const auto& [resource, protocol] : plane_->protocols) protocol->stop();
  });
  control_.reset();
  bool ended = wait_for_sessions(settings_.drain_timeout);
  if (!ended) {
    log::warn("gateway {}: sessions still busy after {} ms are cut", settings_.name, settings_.drain_timeout.count());
    on_loop([&] {
      for (const auto& listener : plane_->listeners) listener->cancel_sessions();
    });
    ended = wait_for_sessions(kCancelTimeout);
  }
  work_.reset();
  plane_->context.stop();
  thread_.join();
  if (!ended) {
    // Its frames hold references to what would be destroyed below. The process is on its way out: leak, do not crash.
    log::error("gateway {}: a session ignores cancellation", settings_.name);
    static_cast<void>(plane_.release());
  }
}

}  // namespace

Result<std::unique_ptr<Gateway>> Gateway::start(GatewaySettings settings, const ProtocolFactory& protocols) {
  FS_CHECK(io::make_directory(settings.state_dir));
  FS_TRY(lock, io::FileLock::take(fmt::format("{}/gateway-{}.lock", settings.state_dir, settings.name)));
  auto gateway = std::make_unique<Running>(std::move(settings), std::move(lock));
  FS_CHECK(gateway->start(protocols));
  return std::unique_ptr<Gateway>(std::move(gateway));
}

Result<void> Gateway::run(GatewaySettings settings, const ProtocolFactory& protocols, std::stop_token stop) {
  raise_descriptor_limit();
  FS_TRY(gateway, start(std::move(settings), protocols));
  std::mutex mutex;
  std::condition_variable_any asked;
  std::unique_lock lock(mutex);
  asked.wait(lock, stop, [] { return false; });
  return {};
}

}  // namespace foreshadow::proxy
