// One client connection of an HTTP listener, from its first request to its last. Requests are served one after the
// other, which keeps pipelined answers in order; each is passed through the gate, sent to the side it is given, and its
// answer streamed back. What cannot be done is told in the status and in plain words: 503 means that provably nothing
// was done, 502 and 504 say when it is not known.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "kinds/http/session/arrival.hpp"
#include "kinds/http/session/body.hpp"
#include "kinds/http/session/errand.hpp"
#include "kinds/http/session/over_h2.hpp"
#include "kinds/http/session/request.hpp"

namespace foreshadow::kinds::http {

class Session final : private InterimSink {
 public:
  Session(std::shared_ptr<Core> core, boost::asio::ip::tcp::socket client, proxy::Gate& gate);
  awaitable<void> run();

 private:
  bool may_speak_h2() const;
  // The client's first bytes are HTTP/2's preface (RFC 9113, section 3.4), which is then taken off.
  awaitable<bool> begins_with_preface();
  awaitable<bool> serve_one();
  // No other request is promised on this connection.
  bool is_last() const;
  awaitable<bool> await_request();
  // Another session for the same connection would know as much.
  bool may_rest() const;
  // A head, if all of it is here; nothing: it is not.
  std::optional<Parsed<void>> take_head(Request& request, HeadScanner& scanner);
  // Waits for all of it. A refusal with status 0: the client has gone.
  awaitable<Parsed<void>> read_head(Request& request, HeadScanner& scanner);
  // What its fields say of it, as far as it concerns the connection.
  Parsed<void> check(Request& request);
  // Has the client send the body that it holds back: it comes before anything else may (RFC 9110, section 7.8).
  awaitable<bool> invite_body(Request& request);
  awaitable<bool> read_ahead(Request& request, BodyReader& body);
  // With leave from the gate after waiting for it; or the answer that there is none.
  awaitable<bool> go_in(Request& request, BodyReader& body, Result<proxy::Pass> pass);
  awaitable<bool> exchange(Request& request, BodyReader& body, proxy::Pass pass);
  awaitable<Attempt> attempt(Request& request, BodyReader& body, const Instance& target, Conn& upstream);
  // Streams what of the body was not read ahead. Nothing: all of it is sent, or the instance has begun to answer.
  awaitable<std::optional<End>> send_rest(Request& request, BodyReader& body, Conn& upstream);
  awaitable<bool> interim(const Answer& answer) override;
  // Passes the 101 on, and then whatever both sides say, to the end of the connection.
  awaitable<bool> switch_over(Request& request, proxy::Pass pass, std::unique_ptr<Conn> upstream);
  Millis upstream_timeout(const Request& request) const;
  // Streams an answer, whose head was read, to the client, and into its copy if that has begun.
  awaitable<Relayed> relay(const Request& request, Conn& upstream, const Answer& answer, const Framing& framing,
                           Cover& cover);
  // Streams the shadow's.
  awaitable<bool> relay_insured(const Request& request, Cover& cover);
  // The same for an instance that speaks HTTP/2, which may get more of the body while it answers (over_h2.hpp).
  class Upload;  // NOLINT(cppcoreguidelines-virtual-class-destructor): final, which a declaration cannot say
  awaitable<Attempt> attempt_over_h2(Request& request, Upload& upload, const Instance& target, h2client::Call& call);
  awaitable<Relayed> relay_over_h2(const Request& request, Upload& upload, h2client::Call& call);
  // Puts the answer's head into out_, as it goes to the client; how its body will be framed. Decides whether to `keep`
  // the client's connection.
  Framing compose_head(const Request& request, const ResponseHead& head, const Framing& framing,
                       const Connection& connection, std::string_view received, bool& keep);

  // An answer of our own; false: the connection is closed behind it.
  awaitable<bool> answer(const Request* request, int status, std::string_view text, bool close,
                         bool retry_soon = false);
  awaitable<bool> refuse(const Refusal& refusal);
  std::shared_ptr<Core> core_;
  Conn client_;
  proxy::Gate& gate_;
  proxy::SessionMark mark_;
  Arrival arrival_;
  ClientQuota::Place place_;
  std::uint64_t served_ = 0;  // requests
  Account account_;           // of the request that is being served
  Answer answer_;
  Framing answer_framing_;
  std::string out_;  // reused for every head that we write
  Copy copy_;
  bool unread_body_ = false;  // the answer came before the body was read: the connection ends with it
};

}  // namespace foreshadow::kinds::http
