// One request on its way from a client to an instance, whatever version of HTTP the client speaks, and what both of our
// sessions do with it in the same way.
#pragma once

#include <optional>
#include <string>

#include "kinds/http/session/account.hpp"
#include "kinds/http/session/answer.hpp"
#include "kinds/http/session/arrival.hpp"
#include "kinds/http/session/core.hpp"
#include "kinds/http/wire/identity.hpp"
#include "kinds/http/wire/rewrite.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::http {

// A body up to this size is read whole before the gate is asked, so that a slow client's upload neither holds up a
// drain nor an instance.
inline constexpr std::size_t kReadAheadMax = 64 << 10;
inline constexpr Millis kConnectMax{5000};
inline constexpr Millis kIdleAgeMax{30'000};
// The instance may close an idle connection at the very moment we send on it. A safe request is then sent again; for
// others a connection is only used while no sensible server would think of closing it.
inline constexpr Millis kIdleAgeMaxUnsafe{1000};
// RFC 9110, section 10.1.1: an instance that knows nothing of 100 stays silent, and nobody should wait for it for long.
inline constexpr Millis kContinueWait{1000};

struct Request {
  std::string bytes;  // the head; `head` points into it
  RequestHead head;
  Connection connection;
  Framing framing;
  Identity identity;
  std::size_t segment = 0;
  Affinity::Key client;
  std::string upgrade;   // protocols that it offers to switch to, as a list
  std::string body;      // read ahead of the gate
  bool whole = true;     // nothing of the body follows `body`
  bool expects = false;  // the client waits for 100 before it sends the body
  std::string trailers;
  std::string_view received = "1.1";  // the version of HTTP that it came by
  bool takes_trailers = false;        // the client said so (TE)
  Watch::Steady::time_point received_at;
  Watch::Steady::time_point until = Watch::Steady::time_point::max();  // its time is over (deadline.hpp)
};

// How an attempt to get an answer from one instance ended.
enum class End {
  answered,  // a final head was read
  switched,  // 101 to what the client has offered
  go_on,     // 100 Continue came, and was passed on
  gone,      // the connection ended without one byte of an answer
  cut,       // it ended inside the head
  bad,       // what came is not HTTP as we take it
  timeout,
  client_gone,  // the client went away or stalled inside its body
  client_bad,   // its body is malformed
  too_large,    // its body passed the limit
};
struct Attempt {
  End end = End::gone;
  std::size_t bytes_sent = 0;
  // It says so itself, or was never sent it: the instance provably did nothing (RFC 9113, section 8.7).
  bool refused = false;
  // More of the body was taken from the client than Request keeps: sent again, it would lack that.
  bool spent = false;
  bool client_failed() const { return end == End::client_gone || end == End::client_bad || end == End::too_large; }
};

// What the gateway itself says.
struct Words {
  int status = 500;
  std::string_view text;
  bool retry_soon = false;  // provably nothing was done
};
// What such an end is, as clients feel it; a client that spoils its own request is none.
proxy::Failure failure_of(End end);
// For TRACE or OPTIONS that was to go no further than here (RFC 9110, section 7.6.2).
std::optional<Words> words_for_last_hop(const RequestHead& head);
// For an attempt that brought no answer; `safe`: the request's method is.
Words words_for(const Attempt& attempt, bool safe);
// For an instance that could not be connected to.
Words words_for_no_connection(const Error& error);

// A body of so many bytes, or more, is not taken.
bool is_too_large(const Core& core, std::uint64_t body_bytes);

// The framing that an instance gets. A chunked body that is here whole goes on with its length, unless it has trailers
// to carry.
Framing framing_to_instance(const Request& request);
// Appends the head; `tail` then goes behind request.body. A `mirror` copy is marked.
void append_head_to_instance(std::string& out, const Core& core, const Request& request, const Framing& framing,
                             const Instance& target, const Arrival& client, bool mirror);
// For a chunked body: what goes before request.body (appended to `out`), and what behind it (returned).
std::string frame_read_ahead(std::string& out, const Request& request, const Framing& framing);

// Passes interim answers on. False: the client is gone.
class InterimSink {
 public:
  virtual awaitable<bool> interim(const Answer& answer) = 0;

 protected:
  ~InterimSink() = default;
};
// Reads on to the final answer, or to 100 if that is waited for. Ends: answered, go_on, gone, cut, bad, timeout,
// client_gone.
awaitable<End> await_answer(Conn& upstream, const Limits& limits, const Request& request, bool until_continue,
                            Answer& answer, Framing& framing, InterimSink& client);

// The Set-Cookie that goes with an answer; empty if none does.
std::string new_cookie(const Core& core, const proxy::Gate& gate, const Arrival& arrival, const Request& request,
                       const ResponseHead& answer);

// Is a copy to be made, as far as the request goes? Where it is not, for want of room, that is counted.
bool may_mirror(const Core& core, proxy::Gate& gate, const Request& request, const proxy::Pass& pass);

}  // namespace foreshadow::kinds::http
