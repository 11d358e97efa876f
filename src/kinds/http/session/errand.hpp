// One request's errand to instances, whatever version of HTTP its client speaks: the leave that it holds from the gate,
// its claim in the ledger, its copy for the shadow, its insurance, and what is known of its attempts. After each of
// them it says what comes next, tells the gate, the trial and the account how it ended, and has the words for a client
// that gets no answer. It never reads from a connection or writes to one: that is what sessions do.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "kinds/http/session/copy.hpp"
#include "kinds/http/session/cover.hpp"
#include "kinds/http/session/ledger.hpp"
#include "kinds/http/session/mirror_choice.hpp"
#include "kinds/http/session/request.hpp"

namespace foreshadow::kinds::http {

// How far an answer came.
struct Relayed {
  bool whole = false;     // the client has all of it, or all of it is on its way
  bool broken = false;    // the instance did not send all of it
  bool insured = false;   // the shadow sent the rest of it
  bool late = false;      // which the instance did not in time
  bool reusable = false;  // the instance's connection is fit for another request
  bool keep = false;      // the client's connection is, if it is one of HTTP/1.1
  bool cut() const { return broken || insured; }
};

// Lives on one thread, and shorter than what it is given. Not movable. One that ends while it holds leave has failed,
// as far as the gate knows.
class Errand {
 public:
  using Got = Result<Pool::Got>;
  enum class Next {
    relay,        // there is an answer, to be relayed
    resend,       // over a fresh connection to the same instance, under the same leave
    enter_again,  // through the gate
    give_up,      // the insurance may be asked, or the client told
  };

  // `gone`: the client is; null: that is not known before it is written to. `request`: matched, read ahead, and with
  // its time begun.
  Errand(Core& core, proxy::Gate& gate, Arrival& client, const Request& request, Account& account, Copy& copy,
         proxy::Pass pass, std::function<bool()> gone = nullptr);
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;

  // While leave is held: until an attempt was given up or relayed, and again after enter_again().
  const proxy::Pass& pass() const { return *held_; }
  const Instance& target() const { return held_->target(); }
  // For a connection that becomes something else, and keeps the leave for as long as it lasts.
  proxy::Pass take_pass() { return std::move(*held_); }
  Cover& cover() { return cover_; }

  // A connection for the next attempt, if one is there to be used without waiting,
  std::optional<Pool::Got> kept();
  // and else whatever Pool::get() finds.
  awaitable<Got> connect() { return core_.pool->get(held_->target(), connect_timeout_, idle_age_max_, claim_.upgrade); }

  // An attempt is over. `got`: its connection, let go of here unless there is an answer; an error: there was none, and
  // `attempt` says nothing.
  Next tried(Got& got, const Attempt& attempt);
  // For what tried() says may be sent again; it may have to wait. An error is the gate's.
  awaitable<Result<void>> enter_again();
  // What a client is told whom the gate kept out, which is counted. The words last as long as `error`.
  Words refused(const Error& error);
  // What a client is told after an attempt that was given up.
  Words words(const Got& got, const Attempt& attempt) const;

  // Offers its copy, of an attempt that was given up. `sent_whole`: all of the body was sent.
  void copy_unanswered(bool sent_whole) { offer_copy(sent_whole, 0); }

  // The instance's answer is about to go to the client,
  void begin_relay(const Answer& answer) {
    if (wants_copy()) copy_.begin_answer(core_, answer);
  }
  // and has gone as far as it came. Its connection is kept, if it can be used again, and the copy offered.
  void relayed(Pool::Got& got, int status, const Relayed& relayed, bool sent_whole);
  // It ends here, before anything was relayed: `client_gone`, or with a failure of the instance.
  void end(proxy::Failure failure);

 private:
  void give_back(proxy::Failure why);
  // A shadow that was asked to insure the request has had it.
  bool wants_copy() const { return shadow_ && !cover_.asked(); }
  void offer_copy(bool sent_whole, int primary_status);

  Core& core_;
  proxy::Gate& gate_;
  Arrival& client_;
  const Request& request_;
  Account& account_;
  Copy& copy_;
  // Given back before an answer of our own goes out: a slow client's reading is not the instance's work.
  std::optional<proxy::Pass> held_;
  MirrorChoice choice_;
  std::shared_ptr<const Instance> shadow_;  // gets a copy; null: nobody does
  const Claim claim_;
  Cover cover_;
  const proxy::Work work_;
  const Millis connect_timeout_;
  Millis idle_age_max_;
  int again_ = 0;  // through the gate
  bool resent_ = false;
  bool in_doubt_ = false;  // something may have been done, and nobody knows
};

}  // namespace foreshadow::kinds::http
