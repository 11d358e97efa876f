// One request of an HTTP/2 connection: from its header section through the gate to an instance and back. Of an answer
// over HTTP/1.1 it holds no more than what one read of the instance's connection brought: the next read waits until the
// client has taken that. Over HTTP/2 each direction has its window, and neither waits for the other.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

#include "kinds/http/h2/link.hpp"
#include "kinds/http/session/body.hpp"
#include "kinds/http/session/errand.hpp"
#include "kinds/http/session/over_h2.hpp"
#include "kinds/http/session/request.hpp"

namespace foreshadow::kinds::http::h2 {

class Exchange final : private StreamOwner, private Uploader {
 public:
  // `stream`: fresh from the mux; given back when this ends. `changed`: nobody else's as long as this lives. `cancel`:
  // of the coroutine that runs it; emitted if the stream is over before its time.
  Exchange(Link& link, Stream& stream, boost::asio::steady_timer& changed, boost::asio::cancellation_signal& cancel);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Once, by a coroutine that does not throw when it is cancelled. Ends soon after the stream is over, whatever it
  // waits for.
  awaitable<void> run();

 private:
  using Steady = Watch::Steady;
  void changed() override;
  awaitable<bool> interim(const Answer& answer) override;
  // Waits for a change until then. False: none came.
  awaitable<bool> change_until(Steady::time_point deadline);
  Millis upstream_timeout() const;
  Steady::time_point patience() const { return Steady::now() + link_.core.settings.idle_timeout; }

  // False: answered, or over.
  bool read_head();
  awaitable<bool> read_ahead();
  // The trailers, once all of the body is here. False: malformed.
  bool read_trailers();
  // With leave from the gate after waiting for it; or the answer that there is none.
  awaitable<void> go_in(Result<proxy::Pass> pass);
  awaitable<void> exchange(proxy::Pass pass);
  awaitable<Attempt> attempt(const Instance& target, Conn& upstream);
  // Streams what of the body was not read ahead. Nothing: all of it is sent, or the instance has begun to answer.
  awaitable<std::optional<End>> send_rest(Conn& upstream);
  // The instance has taken so much of the body.
  void consumed(std::size_t bytes);
  // It takes what was read ahead of a body that goes on; said once, however often that is sent.
  void consume_ahead();
  // Streams an answer, whose head was read, to the client, and into its copy if that has begun.
  awaitable<Relayed> relay(Conn& upstream, const Answer& answer, const Framing& framing, Cover& cover);
  // Streams the shadow's.
  awaitable<void> relay_insured(Cover& cover);
  // Sends the answer's head to the client; `body`: more follows; `mark`: it is insured.
  void answer_head(const ResponseHead& head, const Connection& connection, std::string_view received,
                   std::string_view length, bool body, bool mark);
  // The same for an instance that speaks HTTP/2 (session/over_h2.hpp).
  awaitable<Attempt> attempt(const Instance& target, h2client::Call& call);
  awaitable<Relayed> relay(h2client::Call& call, const proxy::Pass& pass);
  // Ends a call of gRPC that lasts, in its own manner: its client is to call again.
  Relayed move_on(h2client::Call& call);
  std::optional<End> push(h2client::Call& call, bool& hungry) override;
  awaitable<std::optional<End>> wait(h2client::Call& call, bool hungry, Steady::time_point deadline) override;
  awaitable<bool> invite() override;
  bool spent() const override { return !request_.whole && (sent_whole_ || sent_ > request_.body.size()); }
  // All that was offered is on its way. False: the stream is over, or its client does not take it.
  awaitable<bool> taken();
  void answer(int status, std::string_view text, bool retry_soon = false);

  Link& link_;
  Stream& stream_;
  boost::asio::steady_timer& changed_;
  boost::asio::cancellation_signal& cancel_;
  Request request_;
  Account account_;
  Answer answer_;
  Framing answer_framing_;
  std::string out_;
  Copy copy_;
  bool sent_whole_ = true;  // the instance was sent all of the body
  std::string lent_;        // to a call, of the body
  std::size_t sent_ = 0;    // to a call, of the body
  bool consumed_ahead_ = false;
};

}  // namespace foreshadow::kinds::http::h2
