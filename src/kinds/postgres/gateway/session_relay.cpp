#include <boost/asio/buffer.hpp>

#include "kinds/postgres/gateway/session.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;

namespace {

// What a server that is killed tells its sessions, as a WARNING: immediate shutdown (a fence) or another one's crash.
// An idle session that goes on elsewhere has lost nothing.
bool says_goodbye(const Piece& notice) {
  const auto state = decode_error(notice.body).sqlstate;
  return state == "57P01" || state == "57P02";
}

}  // namespace

void Session::start_pump(BackendPtr backend) { spawn(pump(std::move(backend))); }

asio::awaitable<void> Session::pump(BackendPtr b) {
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!closing_) {
    error_code error;
    if (!b->conn->fill_now(error)) error = co_await b->conn->fill();
    if (error) break;
    if (!co_await relay(*b)) break;
  }
  b->dead = true;
  b->conn->close();
  if (!closing_) co_await lost(*b);
  bell_.ring();
}

// Everything whole that the server has sent. False: it does not speak the protocol.
asio::awaitable<bool> Session::relay(Backend& b) {
  const auto bytes = b.conn->unread();
  std::vector<asio::const_buffer> out;
  std::size_t at = 0;
  std::size_t from = 0;
  bool ready_seen = false;
  for (;;) {
    const auto piece = b.framer.next(bytes.substr(at));
    if (!piece) co_return false;
    if (!*piece) break;
    const bool forward = judge(b, **piece, ready_seen);
    b.forwarding_rest = forward;
    if (!forward) {
      if (at > from) out.push_back(asio::buffer(bytes.substr(from, at - from)));
      from = at + (*piece)->size;
    }
    at += (*piece)->size;
  }
  if (at > from) out.push_back(asio::buffer(bytes.substr(from, at - from)));

  const bool ended = ready_seen && unit_open_ && tracker_.idle();
  // Before the answer is written: a client that reads slowly must not keep a handover from draining.
  if (ended) unit_ended();
  if (!out.empty()) co_await to_client(std::move(out));
  b.conn->consume(at);
  if (ended) {
    unit_open_ = false;
    consider_warm_up();
    if (hub_->stopping() && !closing_)
      co_await farewell(error_response("FATAL", "57P01", "terminating connection: the gateway is stopping"));
  }
  bell_.ring();
  co_return true;
}

// Whether this piece is for the client; takes from it what the session must know.
bool Session::judge(Backend& b, const Piece& piece, bool& ready_seen) {
  if (b.exchange && piece.type != 'A') b.exchange->take(piece);
  if (!piece.head) return b.forwarding_rest;
  // Also from a server on which the session is only just arriving; never into the middle of an answer.
  if (piece.type == 'A' && tracker_.idle()) return true;
  if (b.exchange || &b != active_.get()) {
    b.note(piece);
    return false;
  }
  if (piece.type == 'S') return judge_status(b, piece);
  if (tracker_.idle()) {
    if (piece.type == 'E' && piece.whole) b.last_words = message('E', piece.body);
    return piece.type == 'A' || (piece.type == 'N' && !(tracker_.pinned().empty() && says_goodbye(piece)));
  }
  tracker_.backend(piece);
  if (piece.type == 'C') {
    unit_tag_ = decode_string(piece.body).value_or(std::string_view{});
  } else if (piece.type == 'E') {
    unit_failed_ = true;
    fatal_said_ = fatal_said_ || decode_error(piece.body).ends_session();
  } else if (piece.type == 'Z') {
    ready_seen = true;
    if (tracker_.drained() && owed_since_) {
      served_ += std::chrono::duration_cast<proxy::Micros>(Clock::now() - *owed_since_) + proxy::Micros{1};
      owed_since_.reset();
    }
  }
  return true;
}

bool Session::judge_status(Backend& b, const Piece& piece) {
  b.note(piece);
  tracker_.backend(piece);
  const auto status = decode_parameter_status(piece.body);
  // A warm connection turns from standby to primary under its client; that is the one change it must not see.
  if (!status || status->name == "in_hot_standby") return false;
  told_[std::string(status->name)] = status->value;
  return true;
}

void Session::unit_ended() {
  active_->script_version = tracker_.script().version();
  active_->flawed = false;
  update_mark();
  if (!pass_) return;
  if (capture_.complete() && !unit_failed_ && settings_allow_mirror() && pass_->mirror()) {
    MirrorJob job;
    job.gate = &gate_;
    job.segment = pass_->segment();
    job.target = pass_->mirror();
    job.bytes = std::move(capture_.bytes);
    job.tag = unit_tag_;
    hub_->mirror->submit(std::move(job), startup_);
  }
  capture_ = {};
  hub_->work_lengths.record(static_cast<std::uint64_t>(
      std::chrono::duration_cast<proxy::Micros>(Clock::now() - unit_entered_).count()));
  pass_->finish(true, served_);
  pass_.reset();
}

// The connection ended. What that means depends on what was under way.
asio::awaitable<void> Session::lost(Backend& b) {
  const bool was_active = &b == active_.get();
  if (!was_active) {
    forget(b);
    co_return;
  }
  if (unit_open_) {
    // Nothing sent yet, or being sent right now: the sender decides.
    if (sending_ || !unit_sent_) co_return;
    co_return co_await report_loss();
  }
  const auto pinned = why_it_stays(gate_.parks());
  const std::string words = b.last_words;
  forget(b);
  if (pinned.empty()) co_return;  // replaced when the next transaction comes
  if (!words.empty()) co_return co_await farewell(words);
  co_await farewell_lost("the server ended the connection, and the session cannot follow to another: " + pinned);
}

asio::awaitable<void> Session::report_loss() {
  if (pass_) {
    pass_->finish(false, std::chrono::duration_cast<proxy::Micros>(Clock::now() - unit_began_));
    pass_.reset();
  }
  unit_open_ = false;
  // The server has told the client itself why it ends.
  if (fatal_said_) co_return co_await farewell({});
  if (tracker_.loss() == Tracker::Loss::unknown)
    co_return co_await farewell(
        error_response("FATAL", "08007",
                       "connection to the server was lost before its answer came: the transaction "
                       "may or may not have been committed",
                       "Check before you repeat it."));
  co_await farewell(
      error_response("FATAL", "08006", "connection to the server was lost: the transaction was not committed"));
}

asio::awaitable<void> Session::farewell_lost(std::string why) {
  return farewell(error_response("FATAL", "57P01", why, "Nothing of the last statement was sent to a server."));
}

asio::awaitable<bool> Session::to_client(std::string bytes) {
  std::vector<asio::const_buffer> buffers{asio::buffer(bytes)};
  co_return co_await to_client(std::move(buffers));
}

asio::awaitable<bool> Session::to_client(std::vector<asio::const_buffer> bytes) {
  while (writing_ && !client_gone_) co_await write_bell_.wait();
  if (client_gone_ || !client_.is_open()) co_return false;
  writing_ = true;
  error_code error;
  for (std::size_t at = 0; at < bytes.size() && !error;) {
    proxy::Conn::Parts parts;
    for (auto& part : parts)
      if (at < bytes.size()) part = bytes[at++];
    proxy::Conn::Written written;
    if (!client_.write_now(parts, written)) written = co_await client_.write_on(parts, written);
    error = written.error;
  }
  writing_ = false;
  write_bell_.ring();
  if (!error) co_return true;
  client_gone_ = true;
  client_.close();  // wakes serve_client(), which sees the rest through
  co_return false;
}

asio::awaitable<void> Session::farewell(std::string bytes) {
  if (closing_) co_return;
  closing_ = true;
  ready_ = false;
  if (!bytes.empty()) co_await to_client(std::move(bytes));
  if (!writing_ && client_.is_open()) co_await client_.end_sending();
  client_.cancel();
  bell_.ring();
}

}  // namespace foreshadow::kinds::pg_gateway
