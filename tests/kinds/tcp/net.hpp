// Real sockets for the tests of the gateway's plain streams: an instance whose connections are served by a script, and
// a client. What hangs fails: every wait has a deadline.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace foreshadow::kinds::tcp::testing {

class Stream {
 public:
  explicit Stream(int fd);
  static std::optional<Stream> connect(std::uint16_t port, const std::string& from = "127.0.0.1");
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&&) = delete;
  ~Stream();

  bool send(std::string_view bytes);
  // As much as is taken until nothing has been for `stalled`; returns how much that was.
  std::size_t send_until_stalled(std::size_t bytes_max, std::chrono::milliseconds stalled);
  std::optional<std::string> read_exactly(std::size_t n);
  enum class Ended { orderly, by_reset, not_yet };
  // Reads to the end of the stream, and says how it ended.
  Ended read_to_end(std::string* read = nullptr);
  void end_sending();
  // Closes with a reset.
  void reset();
  int fd() const { return fd_; }

 private:
  int fd_;
};

// Serves up to `at_once` connections, each on a thread; the handler's return closes its connection.
class Backend {
 public:
  using Handler = std::function<void(Stream& stream)>;
  // The default says the instance's name, then echoes.
  explicit Backend(std::string name, Handler handler = nullptr, int at_once = 64);
  ~Backend();

  std::uint16_t port() const { return port_; }
  const std::string& name() const { return name_; }
  void handle(Handler handler);
  std::size_t accepted() const { return accepted_; }
  std::size_t open() const { return open_; }
  // Stops listening and cuts every connection.
  void kill();
  // For handlers that wait: until release() or the end.
  void stall();
  void release();

 private:
  void work();
  std::string name_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::condition_variable released_;
  bool release_ = false;
  bool stopping_ = false;
  Handler handler_;
  std::multiset<int> fds_;  // a handler that resets gives its number free before it is taken off
  std::atomic<std::size_t> accepted_ = 0;
  std::atomic<std::size_t> open_ = 0;
  std::vector<std::thread> threads_;
};

// Until the client ends its sending.
void echo(Stream& stream);

}  // namespace foreshadow::kinds::tcp::testing
