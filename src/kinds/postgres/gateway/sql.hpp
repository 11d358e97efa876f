// What a statement's text says it does to the session that sends it: a lexer and a handful of patterns, not a parser.
// Errs towards seeing too much: a session wrongly called unmovable waits for another day, one wrongly moved loses
// state.
//
// Blind spots, on purpose and documented: what functions and procedures do inside (a DO block's text is searched), and
// sequence values remembered by currval() and lastval() before the session first asks for one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace foreshadow::kinds::pg_gateway {

struct Effect {
  enum class Kind {
    setting,        // `text` sets `name`; said again on another server it sets it there
    local_setting,  // the same until the transaction ends; `text` is empty where it cannot be said again
    reset,          // `name` is back to its start value; `text` says so
    reset_all,      // every setting but role and session authorization
    prepare,        // statement `name` exists; `text` makes it
    execute,        // statement `name` is run
    deallocate,
    deallocate_all,
    listen,  // `text` says so again
    unlisten,
    unlisten_all,
    temporary,    // a temporary object exists
    hold_cursor,  // cursor `name` outlives its transaction
    close_cursor,
    close_all,
    advisory_lock,  // may be held by the session
    advisory_unlock_all,
    discard_temporary,
    discard_all,
    pin,  // cannot be undone; `text` is the reason
  };
  Kind kind = Kind::pin;
  std::string name;
  std::string text;
  // It is done when its statement is, whatever becomes of the transaction.
  bool at_once() const {
    return kind == Kind::prepare || kind == Kind::execute || kind == Kind::deallocate || kind == Kind::deallocate_all ||
           kind == Kind::advisory_lock || kind == Kind::advisory_unlock_all || kind == Kind::discard_all;
  }
  friend bool operator==(const Effect&, const Effect&) = default;
};

struct Inspection {
  std::vector<Effect> effects;  // in order
  int statements = 0;
  // Could have made something durable when no answer came: COMMIT and its like, CALL, DO.
  bool may_commit = false;
  bool rolls_back = false;    // ROLLBACK, ABORT
  bool to_savepoint = false;  // ROLLBACK TO: which settings it undoes cannot be told from tags
  // A single SELECT that takes no row locks, makes nothing and calls no function of the server's administration:
  // running it once more on a read-only standby harms nobody.
  bool plain_select = false;
};

// `backslashes`: standard_conforming_strings is off, so '\'' is one quote inside a string.
Inspection inspect(std::string_view text, bool backslashes);

}  // namespace foreshadow::kinds::pg_gateway
