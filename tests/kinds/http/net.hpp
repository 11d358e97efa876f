// Real sockets for the tests of the gateway's HTTP: a service with a thread for each connection whose answers are
// scripted byte by byte, and a client that reads answers with a parser of its own, so that our codec does not judge
// itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace foreshadow::kinds::http::testing {

// A connected stream socket with a receive deadline, so that what hangs fails.
class Stream {
 public:
  explicit Stream(int fd);
  static std::optional<Stream> connect(std::uint16_t port);
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&&) = delete;
  ~Stream();

  bool send(std::string_view bytes);
  // Up to and including the first occurrence of `mark`; nothing if the stream ends before.
  std::optional<std::string> read_until(std::string_view mark);
  std::optional<std::string> read_exactly(std::size_t n);
  // To the end of the stream. `reset` says whether that was a reset rather than an end.
  std::string read_all(bool* reset = nullptr);
  // The other side has closed, and nothing is left to read.
  bool ended();
  void end_sending();
  void reset();
  void set_receive_buffer(int bytes);
  // Bytes read by the last calls beyond what they returned.
  const std::string& pending() const { return pending_; }
  int fd() const { return fd_; }

 private:
  bool more();
  int fd_;
  std::string pending_;
  bool was_reset_ = false;
};

struct Message {
  std::string start;                          // request line or status line
  std::map<std::string, std::string> fields;  // names in lower case
  std::string head;                           // as it came
  std::string body;
  std::string method() const { return start.substr(0, start.find(' ')); }
  std::string target() const { return start.substr(start.find(' ') + 1, start.rfind(' ') - start.find(' ') - 1); }
  int status() const { return start.size() > 12 ? std::stoi(start.substr(9, 3)) : 0; }
  std::string field(const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
};

// Reads one message with its body. `bodyless`: the answer to a HEAD.
std::optional<Message> read_message(Stream& stream, bool bodyless = false);

// Plain answers.
std::string ok(const std::string& body, const std::string& fields = "");
std::string status(int code, const std::string& body = "");

class Backend {
 public:
  // What to do with a request: bytes to send, and whether the connection goes on. The stream is there for tests that
  // need more than that. Called on the connection's thread.
  struct Reply {
    std::string bytes;
    bool close = false;
  };
  using Handler = std::function<Reply(const Message& request, Stream& stream)>;

  explicit Backend(std::string name, Handler handler = nullptr);
  ~Backend();
  std::uint16_t port() const { return port_; }
  const std::string& name() const { return name_; }

  // What each accepted connection goes through first: gives the descriptor to speak through, or -1 to drop it.
  void handle_arrivals(std::function<int(int fd)> arrive);
  // Replaces the handler; the default answers 200 with the backend's name and the request's target.
  void handle(Handler handler);
  // Whole connections by hand, for what happens inside a message.
  void handle_connections(std::function<void(Stream& stream)> handler);
  std::vector<Message> requests() const;
  std::size_t count() const;
  std::size_t connections() const { return accepted_; }
  // Connections that are still open.
  std::size_t open() const { return open_; }
  // Stops listening and cuts every connection.
  void kill();
  // The same, and waits until nothing of the test's is called any more.
  void end();
  // For handlers that stall: waits until release() or the end of the test.
  void stall();
  void release();

 private:
  void accept();
  void serve(int fd);
  std::string name_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable released_;
  bool release_ = false;
  Handler handler_;
  std::function<void(Stream&)> raw_;
  std::function<int(int)> arrive_;
  std::vector<Message> requests_;
  std::list<int> fds_;
  std::list<std::thread> threads_;
  std::atomic<std::size_t> accepted_ = 0;
  std::atomic<std::size_t> open_ = 0;
  bool stopping_ = false;
  std::thread acceptor_;
};

}  // namespace foreshadow::kinds::http::testing
