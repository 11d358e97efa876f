// One TLS connection over a non-blocking descriptor. Never waits: each call does what it can and says what it would
// wait for, so that the same code serves coroutines and blocking callers. The descriptor is given with every call and
// not kept: whoever owns it may close it at any moment, and its number may then be somebody else's.
//
// A call reads at most 32 KiB of what the peer sent: a peer that sends nothing but TLS's own messages (key updates)
// gets its turn like everybody else. On one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct bio_method_st;
struct bio_st;
struct ssl_st;

namespace foreshadow::io {

class TlsStream {
 public:
  enum class Step {
    done,
    want_read,   // call again when the descriptor is readable; as long as there are bytes, it is
    want_write,  // call again, with the same arguments, when it is writable
    closed,      // the peer ended the stream as it should (close_notify)
    truncated,   // the connection ended without that: what was received may not be all
    failed,      // see why(); nothing more can be done with the connection
  };
  // Takes the session; `owner` is kept as long.
  TlsStream(ssl_st* ssl, std::shared_ptr<const void> owner);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  Step handshake(int fd);
  // At least one byte when done.
  Step read(int fd, char* into, std::size_t size, std::size_t& count);
  // Done: something can be read, and read() will give it.
  Step peek(int fd);
  // At most one record of the parts' bytes from `skip` on; small parts travel together. `count`: of those, taken. Where
  // that leaves some, the kernel may keep the record for up to 200 ms, to send it with those (tcp(7), MSG_MORE): go on.
  Step write(int fd, const std::array<std::string_view, 3>& parts, std::size_t skip, std::size_t& count);
  // Tells the peer that nothing follows (close_notify). What it still sends can be read.
  Step end(int fd);

  // Bytes were received that no read() has given yet; perhaps not yet a whole record.
  bool pending() const;
  // What the last call found where it looked for bytes: none were there (any more),
  bool found_none() const { return found_none_; }
  // or all that were there, which were less than it had room for. An end may have come with them.
  bool took_all() const { return took_all_; }
  // The last read or peek ended in what only the next read() tells, or goes on with: an end, a failure, something that
  // TLS has to say itself. Nothing more has to come for that.
  bool owes() const { return owes_; }
  bool established() const { return established_; }
  bool broken() const { return broken_; }
  // What both agreed to speak (RFC 7301); empty: ALPN was not used.
  std::string_view alpn() const;
  bool is_client() const;
  bool resumed() const;
  // Of the peer's certificate, in UTF-8. Empty: it showed none, or names itself not at all, more than once, or with a
  // NUL, before which others would stop reading.
  std::string peer_common_name() const;
  // After failed. Holds nothing that the peer could have written.
  const std::string& why() const { return why_; }
  // The first bytes were those of a plain HTTP request.
  bool was_http() const { return was_http_; }

 private:
  template <class Call>
  Step run(int fd, Call call);
  template <class Call>
  Step read_step(int fd, Call call);
  Step explain(int result);
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  static long control(bio_st* bio, int command, long number, void* pointer);
  static int receive(bio_st* bio, char* into, int size);
  static int send(bio_st* bio, const char* from, int size);
  static bio_method_st* method();

  std::shared_ptr<const void> owner_;
  std::unique_ptr<ssl_st, Free> ssl_;
  std::string why_;
  // For the call under way.
  int fd_ = -1;
  int budget_ = 0;
  int errno_ = 0;
  bool found_none_ = false;
  bool took_all_ = false;
  bool more_ = false;
  bool owes_ = false;
  bool end_seen_ = false;
  bool established_ = false;
  bool broken_ = false;
  bool was_http_ = false;
};

}  // namespace foreshadow::io
