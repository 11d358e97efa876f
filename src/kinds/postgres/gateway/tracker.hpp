// What one client session is doing with its server, told by the messages alone: which requests are unanswered, whether
// a transaction is open, and what the session has left in its server that another server would not have.
//
// A pure state machine, one per session, that survives the move from one server to another: it describes the session,
// not the connection. Feed it every message in the order it is sent. When it cannot be sure it says "pinned", with a
// reason that a person can act on; it never guesses that moving is safe.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kinds/postgres/gateway/script.hpp"
#include "kinds/postgres/gateway/sql.hpp"
#include "kinds/postgres/gateway/wire.hpp"

namespace foreshadow::kinds::pg_gateway {

class Tracker {
 public:
  // swallow: the message must not reach the other side.
  enum class Verdict { forward, swallow };

  // A message the client sent, just before it goes to the server. Error (invalid): malformed beyond use.
  Result<Verdict> frontend(const Piece& head);
  // A message the server sent. Only heads; ParameterStatus must be among them.
  void backend(const Piece& head);

  // Nothing unanswered, no transaction open, not inside COPY: here and only here a session may change its server.
  bool idle() const { return !busy_; }
  char status() const { return status_; }
  // Every request so far has got its ReadyForQuery, or is an extended one still waiting for its Sync.
  bool drained() const { return ready_owed_ == 0; }
  std::size_t queued() const { return queue_.size(); }
  bool in_copy() const { return copying_in_ || copying_out_; }
  bool copying_in() const { return copying_in_; }

  // Why this session cannot move; empty: it can.
  std::string_view pinned() const;
  // What it has that only an orderly handover takes along, and that ends with its server otherwise; empty: nothing.
  std::string_view anchored() const;
  // Brings another server session to where this one is: settings and named statements.
  const Script& script() const { return script_; }
  // LISTEN statements, as the client said them, by channel.
  const std::map<std::string, std::string>& listening() const { return listening_; }
  // The server says that the session holds no advisory lock. Requires: idle().
  void no_locks() { advisory_ = false; }
  // The whole Parse message behind the unnamed prepared statement, if there is one; a client may bind it again later.
  const std::string& unnamed_parse() const { return unnamed_parse_; }
  // What the text of the last Query or Parse does.
  const Inspection& last_inspection() const { return *last_; }

  // The server is gone. What became of the work it owed an answer for?
  enum class Loss {
    nothing,      // nothing was under way
    rolled_back,  // a transaction was, and cannot have been committed
    unknown,      // it may have been committed
  };
  Loss loss() const;

 private:
  enum class Kind : char { query, function, parse, bind, describe, execute, close, sync, copy_end };
  struct Request {
    Kind kind;
    bool may_commit = false;
    bool rolls_back = false;
    std::string name;                             // parse, close: the statement's
    std::string raw;                              // parse: of the unnamed statement the whole message, else its body
    std::shared_ptr<const Inspection> inspected;  // shared with the Parse it belongs to
  };

  void push(Request request);
  void on_error();
  void on_ready(char status);
  void on_copy_in();
  void resolve_segment();
  void apply(const Effect& effect, bool committed, bool doubtful);
  // Of an effect that no rollback undoes: its statement was done, or it cannot be told.
  void apply_at_once(const Effect& effect, bool certain);
  void take_effects(const Inspection& inspected, bool failed);
  void doubt_bound();
  void parsed(Request& parse);
  // Settings of the open transaction, said again around what is prepared in it; nothing where they are not known.
  std::optional<std::string> around() const;
  void pin(std::string_view reason) {
    if (pin_.empty()) pin_ = reason;
  }
  std::shared_ptr<const Inspection> named(std::string_view name) const;
  bool front_is(Kind kind) const { return !queue_.empty() && queue_.front().kind == kind; }
  void pop_expected(Kind kind);
  std::shared_ptr<const Inspection> look(std::string_view text);

  std::deque<Request> queue_;  // unanswered, oldest first
  std::size_t ready_owed_ = 0;
  bool busy_ = false;
  bool skipping_ = false;  // after an error in an extended request the server drops everything up to a Sync
  bool copying_in_ = false;
  bool copying_out_ = false;
  bool out_of_step_ = false;
  char status_ = 'I';

  // What the next Bind to the unnamed statement runs; null: nothing.
  std::shared_ptr<const Inspection> unnamed_;
  std::shared_ptr<const Inspection> last_ = std::make_shared<Inspection>();
  std::string unnamed_parse_;
  bool unnamed_too_large_ = false;

  // What the statements that a Bind may name do.
  std::map<std::string, std::shared_ptr<const Inspection>, std::less<>> named_;
  std::size_t parses_queued_ = 0;  // of named statements

  // Since the last ReadyForQuery outside a transaction.
  std::vector<Effect> pending_;
  // Effects at once of what is bound and not yet executed.
  std::vector<Effect> bound_;
  std::size_t tags_ = 0;  // CommandComplete since the last ReadyForQuery
  bool query_failed_ = false;
  bool error_seen_ = false;
  bool commit_seen_ = false;
  bool rollback_seen_ = false;
  bool savepoint_rollback_ = false;

  bool backslashes_ = false;
  Script script_;
  std::set<std::string, std::less<>> doubtful_;  // statements that may or may not exist, or under unknown settings
  std::map<std::string, std::string> listening_;
  std::set<std::string> cursors_;
  bool temporary_ = false;
  bool advisory_ = false;
  std::string pin_;  // the first reason that nothing but DISCARD ALL takes away
};

}  // namespace foreshadow::kinds::pg_gateway
