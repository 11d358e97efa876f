// One TCP connection, plain or under TLS: its socket, the bytes received and not yet used, and its deadline. Reads and
// writes are tried at once and the event loop is only gone back to when they would block: most never do. A connection
// over a Unix socket comes as one of TCP's, see adopt().
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/tls_stream.hpp"
#include "proxy/conn/edges.hpp"
#include "proxy/conn/watchdog.hpp"

namespace foreshadow::proxy {

using boost::asio::awaitable;
using boost::system::error_code;

// Every wait ends with an error when the watch expires; timed_out() then says so. Results are values, never exceptions,
// but for a cancelled coroutine.
class Conn {
 public:
  Conn(boost::asio::ip::tcp::socket socket, std::shared_ptr<Watchdog> watchdog);
  // An instance is told that no more requests come, if that can be done at once; a client is told by finish().
  ~Conn();

  // The next byte, left where it is: for who must know who speaks before anything is read. Nothing: the end, or an
  // error. Requires: a plain connection with nothing unread.
  awaitable<std::optional<char>> peek();

  // Exactly these bytes, past the buffer: for what comes before TLS. Requires: a plain connection with nothing unread.
  awaitable<error_code> receive(char* into, std::size_t size);

  struct Secured {
    error_code error;
    std::string why;  // of a handshake that failed, for people
    bool was_http = false;
  };
  // The TLS handshake; all reading and writing from then on is under it. After an error the connection is plain again,
  // and good for nothing but a last word. Requires: nothing unread.
  awaitable<Secured> secure(std::unique_ptr<io::TlsStream> tls);
  bool is_secure() const { return tls_ != nullptr; }
  // What ALPN chose ("h2", "http/1.1"); empty without.
  std::string_view alpn() const { return tls_ ? tls_->alpn() : std::string_view{}; }
  // As of io/tls_stream; empty without TLS.
  std::string peer_common_name() const { return tls_ ? tls_->peer_common_name() : std::string{}; }
  // Why TLS failed after its handshake, for people; empty if it did not.
  std::string_view why() const { return tls_ ? std::string_view(tls_->why()) : std::string_view{}; }

  // Waits until there is something to read beyond what is unread; it may have been read already then. An end is told
  // here or by fill(). Errors: a reset, which nobody is told of again; those of the wait.
  awaitable<error_code> readable();
  // Reads what is there behind what is unread; the views given out before are void. Holds no buffer while it waits, but
  // for what is unread. At the end: asio::error::eof.
  awaitable<error_code> fill();
  // The same, if it can be done without waiting. False: it cannot, and fill() is to be awaited. Saves a coroutine where
  // bytes are likely to be here.
  bool fill_now(error_code& error);
  // The other side stays, and will be heard of again: what is done once from now on saves a system call each time.
  void expect_more() { edges_.tell_end(watch_.ends()); }
  // Before the socket goes to somebody else.
  void expect_no_more() { edges_.forget_end(); }
  std::string_view unread() const { return {buffer_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t n);

  struct Written {
    error_code error;
    std::size_t bytes = 0;
  };
  using Parts = std::array<boost::asio::const_buffer, 3>;
  // All of them, in order. Under TLS `bytes` counts what the other side can have decrypted, at most.
  awaitable<Written> write(Parts parts);
  awaitable<Written> write(std::string_view bytes);
  // The same, as far as it can be done without waiting. False: `parts` are what is left, to go on with by write_on().
  bool write_now(Parts& parts, Written& written);
  // `written`: before; the result counts all.
  awaitable<Written> write_on(Parts parts, Written written);

  // Says that nothing follows (close_notify), if all that was written before is whole. Without TLS there is nothing to
  // do. Waits a second at most.
  awaitable<void> finish();

  // The same without a deadline of its own, and then ends the sending; reading goes on. For who carries both ways.
  awaitable<void> end_sending();

  // Nothing unread, and neither bytes nor the end wait in the kernel: fit for another request.
  bool quiet();
  // The same, as far as the event loop has heard: certain of all that was there when it last came round.
  bool seems_quiet() { return begin_ == end_ && !may_read() ? true : quiet(); }
  bool timed_out() const { return watch_.expired(); }
  Watch& watch() { return watch_; }
  // Ends every wait with an error.
  void cancel();
  // The same, and the connection at once. What has been received can still be used.
  void close();
  // Gives the buffer back, if nothing is unread.
  void release_buffer();
  bool is_open() const { return socket_.is_open(); }
  boost::asio::ip::tcp::socket& socket() { return socket_; }

 private:
  using Step = io::TlsStream::Step;
  // A connection that is always ready steps aside after this many bytes.
  static constexpr std::size_t kTurn = 128 << 10;
  void make_room();
  // A read may find something, or has something to tell.
  bool may_read() const { return edges_.pending() || (tls_ && (tls_->pending() || tls_->owes())); }
  // At least one byte, the end or an error. False: nothing is there.
  bool receive_now(error_code& error);
  // The same without taking it.
  bool look(error_code& error);
  // Back to the event loop until there may be something to read. Requires: nothing is pending.
  awaitable<Edges::Woken> wait_to_read();
  error_code cut_short() const;
  awaitable<error_code> wait_to_write();
  // Waits for what TLS wants; or the error that its step means.
  awaitable<error_code> settle(Step step, const io::TlsStream& tls);
  // Until something is to be read, for a writer whom TLS wants to read first: somebody else may wait for that, too.
  awaitable<error_code> wait_beside();
  // One step of reading, where there may be something to read.
  Step read_secure(std::size_t& count);
  bool write_secure_now(const Parts& parts, Written& written);
  // Gives others their turn after much was done without waiting.
  awaitable<void> take_turns();
  awaitable<error_code> fill_plain();
  awaitable<error_code> fill_secure();
  awaitable<error_code> readable_secure();
  awaitable<error_code> readable_beyond();
  awaitable<Written> write_secure(Parts parts, Written written);

  boost::asio::ip::tcp::socket socket_;
  Edges edges_;
  Watch watch_;
  std::unique_ptr<io::TlsStream> tls_;
  std::size_t in_a_row_ = 0;   // bytes moved since the last wait
  bool half_written_ = false;  // a write under TLS failed: no claim that the stream is whole
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// A connected socket of another family as one of TCP's: nothing here asks for addresses, and apart from those and from
// options a stream is a stream. Takes `fd`, also if that fails.
boost::asio::ip::tcp::socket adopt(const boost::asio::any_io_executor& executor, int fd, error_code& error);

}  // namespace foreshadow::proxy
