#include "kinds/postgres/gateway/hub.hpp"

#include <openssl/crypto.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <vector>

#include "kinds/postgres/gateway/scram.hpp"
#include "kinds/postgres/gateway/session.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;
constexpr auto use = asio::as_tuple(asio::use_awaitable);

namespace {

constexpr int cancels_max = 32;
constexpr Millis cancel_timeout{5000};
// How soon idle sessions notice that there is a shadow to open a connection to.
constexpr Millis tick{200};

std::string option(const proxy::ListenerSettings& settings, const std::string& name) {
  const auto found = settings.options.find(name);
  return found == settings.options.end() ? std::string() : found->second;
}

}  // namespace

Hub::Hub(proxy::ListenerSettings listener, Tls both, asio::any_io_executor on)
    : executor(on),
      settings(std::move(listener)),
      tls(std::move(both)),
      watchdog(std::make_shared<proxy::Watchdog>(on)),
      dialer(std::make_shared<Dialer>(on, watchdog, tls.options.upstream, tls.options.server_name, tls.files)),
      credentials(option(settings, "password_file")),
      mirror(std::make_shared<MirrorPool>(dialer, credentials)),
      tick_(on) {}

std::size_t Hub::segment_of(const Startup& startup) const {
  const auto holds = [&](const std::pair<const std::string, std::string>& condition) {
    if (condition.first == "user") return startup.user() == condition.second;
    if (condition.first == "database") return startup.database() == condition.second;
    if (condition.first == "application_name") return startup.parameter("application_name") == condition.second;
    return false;
  };
  for (std::size_t i = 0; i < settings.matches.size() && i < settings.segments.size(); ++i) {
    const auto& conditions = settings.matches[i].conditions;
    if (std::all_of(conditions.begin(), conditions.end(), holds)) return i;
  }
  return settings.segments.size();
}

BackendKey Hub::add(Session& session) {
  for (;;) {
    const std::string random = random_bytes(8);
    // A process id is positive for every client library.
    const std::uint32_t pid = read_u32(random) & 0x7fffffff;
    if (pid == 0 || sessions_.contains(pid)) continue;
    BackendKey key{pid, random.substr(4)};
    sessions_[pid] = {&session, key.secret};
    if (!tending_) {
      tending_ = true;
      asio::co_spawn(executor, [self = shared_from_this()] { return self->tend(); }, asio::detached);
    }
    return key;
  }
}

void Hub::adopt(BackendKey& key, std::uint32_t pid) {
  if (pid == 0 || sessions_.contains(pid)) return;
  auto entry = sessions_.extract(key.pid);
  if (entry.empty()) return;
  entry.key() = key.pid = pid;
  sessions_.insert(std::move(entry));
}

void Hub::remove(Session& session, const BackendKey& key) {
  const auto found = sessions_.find(key.pid);
  if (found != sessions_.end() && found->second.session == &session) sessions_.erase(found);
  if (sessions_.empty()) tick_.cancel();
}

// Runs only while there are sessions, and touches nothing but them.
asio::awaitable<void> Hub::tend() {
  while (!sessions_.empty() && !stopping_) {
    for (auto& [pid, entry] : sessions_) entry.session->tend();
    tick_.expires_after(tick);
    co_await tick_.async_wait(use);
  }
  tending_ = false;
}

asio::awaitable<void> Hub::cancel(Startup request) {
  const auto found = sessions_.find(request.pid);
  if (found == sessions_.end()) co_return;
  const auto& secret = found->second.secret;
  if (secret.size() != request.secret.size() || CRYPTO_memcmp(secret.data(), request.secret.data(), secret.size()) != 0)
    co_return;
  const auto target = found->second.session->cancel();
  if (target) co_await cancel_at(target->instance, target->key);
}

asio::awaitable<void> Hub::cancel_at(Instance at, BackendKey key) {
  if (cancels_ >= cancels_max) co_return;
  ++cancels_;
  auto conn = co_await dialer->dial(std::move(at), cancel_timeout);
  if (conn) {
    (*conn)->watch().arm(cancel_timeout);
    const std::string bytes = cancel_request(key);
    // The server closes when it has passed the signal on; only then may our client believe it is done.
    if (co_await send(**conn, bytes)) co_await (*conn)->fill();
  }
  --cancels_;
}

std::vector<std::shared_ptr<Session>> Hub::everybody() const {
  std::vector<std::shared_ptr<Session>> all;
  all.reserve(sessions_.size());
  for (const auto& [pid, entry] : sessions_) all.push_back(entry.session->shared_from_this());
  return all;
}

void Hub::stop() {
  stopping_ = true;
  tick_.cancel();
  mirror->stop();
  for (const auto& session : everybody()) session->stop();
}

}  // namespace foreshadow::kinds::pg_gateway
