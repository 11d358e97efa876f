// One client and the servers behind it. Login is relayed, so that any authentication the server asks for works end to
// end; after it, each transaction asks the gate where to run and whether it may start, and between transactions the
// session can change its server without its client noticing.
//
// Promises: nothing is sent twice. A statement whose answer was lost is reported as lost (08007 when it may have been
// committed, 08006 when it cannot have been), and the connection ends. A server that dies while the session is idle
// is replaced when the next transaction comes. What cannot be moved is marked with its reason as soon as that is known.
//
// Two coroutines for life: serve_client() reads the client and writes to the server, one pump() per server connection
// reads the server and writes to the client. No lock: everything runs on the gateway's one thread.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kinds/postgres/gateway/backend.hpp"
#include "kinds/postgres/gateway/hub.hpp"
#include "kinds/postgres/gateway/link.hpp"
#include "kinds/postgres/gateway/locks.hpp"
#include "kinds/postgres/gateway/opening.hpp"
#include "kinds/postgres/gateway/tracker.hpp"
#include "proxy/gate.hpp"
#include "proxy/settler.hpp"

namespace foreshadow::kinds::pg_gateway {

using boost::system::error_code;

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Hub> hub, boost::asio::ip::tcp::socket client, proxy::Gate& gate);

  // To the client's end; every coroutine of the session has ended when it returns.
  boost::asio::awaitable<void> run();

  // Every now and then: sees to the connection to the shadow, and notices a handover that did not come about.
  void tend();

  // Where a handover turns (session_settle.cpp). Each may keep `stay` until it has done its part.
  // Whatever an earlier attempt found out is forgotten.
  void unsettle();
  // Nothing of the client's is under way, and its server is the one that serves writes.
  bool at_rest() const;
  boost::asio::awaitable<std::optional<std::vector<AdvisoryLock>>> ask_locks();
  // Finds its own among those of all; nothing: they are not known. A session that cannot take its locks along is
  // marked.
  void settle_locks(const std::optional<std::vector<AdvisoryLock>>& all, const proxy::Stay& stay);
  // Waits for every notification that the old server still has for the client.
  void hear_out(const proxy::Stay& stay);
  // Goes over to the new server now, if it has anything there that must not wait for its next transaction.
  void arrive(const proxy::Stay& stay);
  struct CancelTarget {
    Instance instance;
    BackendKey key;
  };
  // Whom to ask; nothing when the session is idle, or waits at the gate and was woken instead.
  std::optional<CancelTarget> cancel();
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  using BackendPtr = std::shared_ptr<Backend>;  // shared by the session and the pump that reads from it
  template <class T>
  using Awaitable = boost::asio::awaitable<T>;

  // session_login.cpp
  Awaitable<bool> start_up();
  Awaitable<std::optional<Startup>> read_startup();
  Awaitable<bool> shake_hands(Opening& opening);
  Awaitable<bool> log_in();
  enum class LoginStep { done, failed, retry };
  Awaitable<LoginStep> relay_login(Backend& backend);
  Awaitable<bool> relay_secret(Backend& backend, bool begins_sasl);
  Awaitable<void> tunnel();
  Awaitable<void> tunnel_back(BackendPtr backend);

  // session.cpp: client to server
  Awaitable<void> serve_client();
  Awaitable<bool> handle_input();
  enum class Admitted { forward, drop, end };
  Awaitable<Admitted> admit(const Piece& piece);
  bool must_wait(char type) const;
  Awaitable<bool> send_to_server(std::string_view bytes);
  bool may_pipeline() const;
  Awaitable<void> refuse(const Piece& first, const Error& error);
  Awaitable<Result<proxy::Pass>> enter();
  Awaitable<void> park(std::optional<Result<proxy::Pass>>& out);
  Awaitable<void> wait_for_cancel();

  // session_move.cpp: which server
  Awaitable<bool> begin_unit(const Piece& first);
  enum class Begun { yes, no, again };
  Awaitable<Begun> try_begin(const Piece& first, Clock::time_point arrived, Clock::time_point until);
  Awaitable<Result<void>> attach(Instance target, std::uint64_t epoch);
  Awaitable<void> tell_differences(Backend& backend);
  Awaitable<Result<BackendPtr>> open(Instance target, std::uint64_t epoch);
  Awaitable<Result<void>> bring_up_to_date(Backend& backend);
  // Asks the server something of our own. `within`: its connection ends if it has not answered by then; 0: never.
  Awaitable<Result<Exchange>> exchange(Backend& backend, std::string bytes, int ready, Millis within);
  Awaitable<void> undisturbed(Backend& backend);
  void consider_warm_up();
  Awaitable<void> warm_up(Instance target, std::uint64_t epoch);
  Awaitable<bool> settled(Backend& backend);
  BackendPtr find(const Instance& instance) const;
  bool in_table(const Backend& backend) const;
  void prune();
  void forget(Backend& backend);
  void update_mark();

  // session_script.cpp: what a server must know of the session
  Awaitable<Result<void>> follow_script(Backend& backend);
  Awaitable<Result<void>> restore_anchors(Backend& backend);
  Awaitable<Result<void>> restore_parameters(Backend& backend);
  Awaitable<void> refresh(BackendPtr backend);
  void consider_refresh(const BackendPtr& backend);

  // session_settle.cpp: an orderly handover
  Awaitable<void> count_locks(proxy::Stay stay);
  Awaitable<void> hear(BackendPtr backend, proxy::Stay stay);
  Awaitable<void> arriving(proxy::Stay stay);
  bool may_leave() const;
  // Why it cannot go to another server; empty: it can. `orderly`: in a handover that it was asked to settle for.
  std::string why_it_stays(bool orderly) const;

  // session_relay.cpp: server to client
  void start_pump(BackendPtr backend);
  Awaitable<void> pump(BackendPtr backend);
  Awaitable<bool> relay(Backend& backend);
  bool judge(Backend& backend, const Piece& piece, bool& ready_seen);
  bool judge_status(Backend& backend, const Piece& piece);
  void unit_ended();
  Awaitable<void> lost(Backend& backend);
  Awaitable<void> report_loss();
  Awaitable<bool> to_client(std::vector<boost::asio::const_buffer> bytes);
  Awaitable<bool> to_client(std::string bytes);
  // Says the last words and ends the session.
  Awaitable<void> farewell(std::string bytes);
  Awaitable<void> farewell_lost(std::string why);
  void give_up();
  Awaitable<void> see_off();
  Awaitable<void> linger();
  void spawn(Awaitable<void> child);

  struct Capture {
    bool on = false;
    bool spoilt = false;
    std::string bytes;
    std::string shape;  // message types seen
    void add(const Piece& piece, std::string_view raw, const Inspection& inspected);
    bool complete() const;
  };
  bool settings_allow_mirror() const;

  const std::shared_ptr<Hub> hub_;
  proxy::Conn client_;
  proxy::Gate& gate_;
  std::optional<proxy::SessionMark> session_mark_;
  std::optional<proxy::UnmovableMark> mark_;
  std::string marked_;

  Startup startup_;
  std::size_t segment_ = 0;
  bool reads_only_ = false;  // the segment may be served by the shadow
  BackendKey key_;           // what the client holds
  bool replication_ = false;

  Framer framer_{Origin::frontend};
  Tracker tracker_;
  bool forward_rest_ = false;
  bool skipping_ = false;        // a unit was refused: its messages are dropped up to the Sync
  bool closed_request_ = false;  // the last message forwarded ends a request (Query, Sync, FunctionCall)

  std::vector<BackendPtr> backends_;
  BackendPtr active_;
  std::map<std::string, std::string> told_;  // ParameterStatus as the client knows it

  // A unit: from its first message sent to the server to the answer that leaves the session idle.
  std::optional<proxy::Pass> pass_;
  bool unit_open_ = false;
  bool unit_sent_ = false;
  bool sending_ = false;
  bool fatal_said_ = false;
  bool unit_failed_ = false;
  bool needs_unnamed_ = false;  // it begins by using an unnamed statement parsed in an earlier one
  std::string unit_tag_;
  Capture capture_;
  Clock::time_point unit_began_{};
  Clock::time_point unit_entered_{};  // the gate: a hold waits for it from then on
  std::optional<Clock::time_point> owed_since_;
  proxy::Micros served_{0};

  bool parked_ = false;
  bool cancel_parked_ = false;
  bool ready_ = false;
  bool closing_ = false;      // no more work is taken
  bool client_gone_ = false;  // answers have nobody to go to
  bool writing_ = false;
  bool warming_ = false;
  std::string warm_failure_;
  Clock::time_point warm_retry_at_{};
  Millis warm_backoff_{0};
  // Of the script at the shadow: why it could not be repeated there, and how often in a row.
  std::string repeat_failure_;
  int repeat_failures_ = 0;
  Clock::time_point repeat_retry_at_{};

  // Of the handover under way.
  bool locks_known_ = false;
  std::vector<AdvisoryLock> locks_;  // to be taken on the new server
  bool heard_out_ = false;
  bool arriving_ = false;
  std::string settle_failure_;
  int children_ = 0;
  Bell bell_;
  Bell write_bell_;
};

}  // namespace foreshadow::kinds::pg_gateway
