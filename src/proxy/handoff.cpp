#include "proxy/handoff.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "io/fd_passing.hpp"
#include "io/socket.hpp"

namespace foreshadow::proxy {
namespace {

using nlohmann::json;

constexpr Millis kAnswer{10'000};
constexpr Millis kWait{60'000};
constexpr const char* kTakeOver = "take_over";
constexpr const char* kReady = "ready";
constexpr const char* kYours = "yours";
constexpr const char* kHurry = "hurry";

}  // namespace

std::string handoff_socket_path(const std::string& state_dir, const std::string& name) {
  return fmt::format("{}/gateway-{}.handoff", state_dir, name);
}

HandoffServer::HandoffServer(std::string path, io::Fd listener, Hooks hooks)
    : path_(std::move(path)), listener_(std::move(listener)), hooks_(std::move(hooks)) {
  thread_ = std::jthread([this](std::stop_token stop) { serve(stop); });
}

Result<std::unique_ptr<HandoffServer>> HandoffServer::listen(const std::string& path, Hooks hooks) {
  // Whoever may listen here holds the gateway's lock, so a file that is there belongs to nobody any more.
  ::unlink(path.c_str());
  FS_TRY(listener, io::listen_unix(path, 0600));
  return std::unique_ptr<HandoffServer>(new HandoffServer(path, std::move(listener), std::move(hooks)));
}

void HandoffServer::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  // Whoever comes now must be refused at once, not wait for an answer. After a handover the path is the successor's.
  if (listener_ && !handed_over_) ::unlink(path_.c_str());
  listener_.reset();
}

HandoffServer::~HandoffServer() { stop(); }

void HandoffServer::serve(const std::stop_token& stop) {
  const io::StopEvent stopped(stop);
  while (!stopped.stopped()) {
    if (!io::await(listener_.get(), POLLIN, io::Deadline(kWait), stopped, path_)) continue;
    io::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket || !hand_over(socket.get(), stop)) continue;
    successor_ = std::move(socket);
    listener_.reset();
    break;
  }
  if (!successor_) return;
  while (!stopped.stopped()) {
    if (!io::await(successor_.get(), POLLIN, io::Deadline(kWait), stopped, path_)) continue;
    const auto told = io::receive_with_fds(successor_.get(), io::Deadline(kAnswer), stopped);
    // It died: nobody waits for us, and our sessions may as well have their time.
    if (!told) return;
    if (told->line == kHurry) hooks_.hurry();
  }
}

bool HandoffServer::hand_over(int socket, const std::stop_token& stop) {
  const io::StopEvent stopped(stop);
  const auto hear = [&] { return io::receive_with_fds(socket, io::Deadline(kAnswer), stopped); };
  const auto say = [&](const std::string& line, const std::vector<int>& fds = {}) {
    return io::send_with_fds(socket, line, fds, io::Deadline(kAnswer), stopped);
  };
  if (const auto asked = hear(); !asked || asked->line != kTakeOver) return false;
  json names = json::array();
  std::vector<int> fds;
  for (const auto& [resource, listener] : hooks_.offer()) {
    names.push_back(resource);
    fds.push_back(listener);
  }
  if (!say(names.dump(), fds)) return false;
  // A successor that cannot start says nothing more, and nothing has changed.
  if (const auto ready = hear(); !ready || ready->line != kReady) return false;
  if (const auto given = hooks_.give_up(); !given) {
    log::warn("not handed over to the new process: {}", given.error().what);
    (void)say(given.error().what);
    return false;
  }
  handed_over_ = true;
  // It knows by the lock, should this line be lost.
  (void)say(kYours);
  return true;
}

Result<std::unique_ptr<Predecessor>> Predecessor::find(const std::string& path) {
  const io::StopEvent never{std::stop_token{}};
  auto socket = io::connect_unix(path, io::Deadline(kAnswer), never);
  if (!socket && socket.error().code == Code::unreachable) return std::unique_ptr<Predecessor>();
  if (!socket) return tl::make_unexpected(socket.error());
  std::unique_ptr<Predecessor> found(new Predecessor(std::move(*socket)));
  FS_CHECK(io::send_with_fds(found->socket_.get(), kTakeOver, {}, io::Deadline(kAnswer), never));
  FS_TRY(offered, io::receive_with_fds(found->socket_.get(), io::Deadline(kAnswer), never));
  const auto names = json::parse(offered.line, nullptr, false);
  if (!names.is_array() || names.size() != offered.fds.size())
    return fail(Code::invalid, path + ": what answers there is not a gateway of a version that can hand over");
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!names[i].is_string()) return fail(Code::invalid, path + ": a listener without a name");
    found->listeners_.emplace_back(names[i].get<std::string>(), std::move(offered.fds[i]));
  }
  return found;
}

io::Fd Predecessor::take(const ResourceId& resource) {
  for (auto& [name, listener] : listeners_)
    if (name == resource) return std::move(listener);
  return {};
}

Result<void> Predecessor::ready() {
  const io::StopEvent never{std::stop_token{}};
  FS_CHECK(io::send_with_fds(socket_.get(), kReady, {}, io::Deadline(kAnswer), never));
  FS_TRY(answer, io::receive_with_fds(socket_.get(), io::Deadline(kAnswer), never));
  if (answer.line != kYours) return fail(Code::refused, "the running gateway does not hand over: " + answer.line);
  return {};
}

void Predecessor::hurry() {
  if (hurried_.exchange(true)) return;
  const io::StopEvent never{std::stop_token{}};
  (void)io::send_with_fds(socket_.get(), kHurry, {}, io::Deadline(kAnswer), never);
}

bool Predecessor::alive() const {
  pollfd ended{socket_.get(), POLLIN | POLLRDHUP, 0};
  return ::poll(&ended, 1, 0) == 0;
}

}  // namespace foreshadow::proxy
