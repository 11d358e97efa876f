#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <list>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <thread>

#include "base/log.hpp"
#include "io/files.hpp"
#include "io/rpc.hpp"
#include "io/rpc_line.hpp"
#include "io/socket.hpp"

namespace foreshadow::io {
namespace {

// A connection that stays silent gives its place to others after this; once a request has begun, and while an answer is
// taken, the other side has less patience to ask for.
constexpr Millis kIdleMax{60'000};
constexpr Millis kTransferMax{10'000};

// What the two sides of a listening path are, so that we never unlink another server's file.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
std::optional<FileIdentity> identity_of(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0) return std::nullopt;
  return FileIdentity{st.st_dev, st.st_ino};
}

// A file that nobody listens on is what a killed process left. Only a socket is ever removed.
Result<void> remove_stale(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0) return {};
  if (!S_ISSOCK(st.st_mode)) return fail(Code::invalid, path + ": exists and is not a socket; move it away");
  const StopEvent never{std::stop_token{}};
  if (connect_unix(path, Deadline(Millis{1000}), never))
    return fail(Code::conflict, path + ": another process listens there");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail(Code::io, errno_text("remove stale " + path));
  return {};
}

class Server final : public RpcServer {
 public:
  Server(std::string path, FileLock lock, Fd listener, Handler handler, int connections_max)
      : path_(std::move(path)),
        lock_(std::move(lock)),
        listener_(std::move(listener)),
        handler_(std::move(handler)),
        connections_max_(connections_max),
        identity_(identity_of(path_)) {
    accepter_ = std::jthread([this](std::stop_token stop) { accept_all(stop); });
  }

  // New connections first, so that none slips in while we wait. Handlers that run end by themselves and their answers
  // are still sent; waiting connections end at once.
  ~Server() override {
    accepter_.request_stop();
    accepter_.join();
    if (identity_ && identity_of(path_) == identity_) ::unlink(path_.c_str());
    for (auto& connection : connections_) connection.thread.request_stop();
    connections_.clear();
  }

 private:
  struct Connection {
    std::atomic<bool> done{false};
    std::jthread thread;
  };

  void accept_all(std::stop_token stop) {
    const StopEvent stopped(stop);
    for (;;) {
      const auto ready = await(listener_.get(), POLLIN, Deadline(kIdleMax), stopped, path_);
      if (stopped.stopped()) return;
      connections_.remove_if([](const Connection& c) { return c.done.load(); });
      if (!ready) continue;
      Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd) {
        // Out of descriptors: the listener stays readable, so wait a moment instead of spinning.
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
          log::warn("{}", errno_text("accept on " + path_));
          (void)await(-1, 0, Deadline(Millis{50}), stopped, path_);
        }
        continue;
      }
      if (static_cast<int>(connections_.size()) >= connections_max_) {
        turn_away(fd, stopped);
        continue;
      }
      auto& connection = connections_.emplace_back();
      try {
        connection.thread = std::jthread([this, &connection, fd = std::move(fd)](std::stop_token end) mutable {
          serve(std::move(fd), end);
          connection.done = true;
        });
      } catch (const std::system_error& e) {  // no thread to be had: this caller is dropped, the server goes on
        log::warn("{}: cannot start a thread: {}", path_, e.what());
        connections_.pop_back();
      }
    }
  }

  void turn_away(const Fd& fd, const StopEvent& stopped) {
    const auto line = write_rpc_answer(fail(
        Code::refused, path_ + ": " + std::to_string(connections_max_) + " connections are open already; try again"));
    (void)send_all(fd.get(), line, Deadline(Millis{10}), stopped, path_);
    end_politely(fd);
  }

  // Closing with unread input would reset the connection and could take the answer back out of the peer's hands.
  static void end_politely(const Fd& fd) {
    ::shutdown(fd.get(), SHUT_WR);
    char rest[4096];
    for (int rounds = 0; rounds < 64 && ::recv(fd.get(), rest, sizeof rest, MSG_DONTWAIT) > 0; ++rounds) {
    }
  }

  void serve(Fd fd, std::stop_token end) {
    const StopEvent stopped(end);
    const StopEvent never{std::stop_token{}};
    std::string buffer;
    std::size_t searched = 0;
    Deadline deadline(kIdleMax);
    for (;;) {
      const auto newline = buffer.find('\n', searched);
      if (newline == std::string::npos && buffer.size() <= kRpcLineMax) {
        searched = buffer.size();
        const auto received = receive_some(fd.get(), buffer, deadline, stopped, path_);
        if (!received || *received == 0) return;
        if (searched == 0) deadline = Deadline(kTransferMax);
        continue;
      }
      const bool too_long = newline == std::string::npos || newline > kRpcLineMax;
      const auto answer = too_long
                              ? Result<nlohmann::json>(fail(
                                    Code::invalid, "request longer than " + std::to_string(kRpcLineMax) + " bytes"))
                              : handle(std::string_view(buffer).substr(0, newline));
      if (!send_all(fd.get(), write_rpc_answer(answer), Deadline(kTransferMax), never, path_)) return;
      // Where the next line begins is unknown now.
      if (too_long || stopped.stopped()) return end_politely(fd);
      buffer.erase(0, newline + 1);
      searched = 0;
      deadline = Deadline(buffer.empty() ? kIdleMax : kTransferMax);
    }
  }

  Result<nlohmann::json> handle(std::string_view line) {
    FS_TRY(request, parse_rpc_line(line));
    try {
      return handler_(request);
    } catch (const nlohmann::json::exception& e) {
      return fail(Code::invalid, std::string("bad request: ") + e.what());
    } catch (const std::exception& e) {
      log::error("{}: handler: {}", path_, e.what());
      return fail(Code::io, std::string("the request could not be handled: ") + e.what());
    }
  }

  const std::string path_;
  const FileLock lock_;
  const Fd listener_;
  const Handler handler_;
  const int connections_max_;
  const std::optional<FileIdentity> identity_;
  std::list<Connection> connections_;  // the accepter's, until it has been joined
  std::jthread accepter_;
};

}  // namespace

Result<std::unique_ptr<RpcServer>> RpcServer::listen(const std::string& socket_path, Handler handler,
                                                     int connections_max) {
  if (connections_max < 1) return fail(Code::invalid, socket_path + ": at least one connection must be allowed");
  // Two servers starting at once must not remove each other's fresh socket: whoever has the lock looks and binds.
  FS_TRY(lock, FileLock::take(socket_path + ".lock"));
  FS_CHECK(remove_stale(socket_path));
  FS_TRY(listener, listen_unix(socket_path, 0600));
  return std::make_unique<Server>(socket_path, std::move(lock), std::move(listener), std::move(handler),
                                  connections_max);
}

}  // namespace foreshadow::io
