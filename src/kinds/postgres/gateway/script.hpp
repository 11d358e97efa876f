// What a session has made of its server, as the messages that make it again on another one: its settings and its named
// prepared statements, in an order that gives every statement the settings it was parsed under.
//
// Compacted: a setting that was said again later is forgotten, unless a statement was made in between (it may have
// resolved its tables by it); what was deallocated is gone, with the settings that were kept for its sake. A server
// session that has followed up to some version needs only what came after it, so a connection to the shadow is kept
// abreast at the price of the news.
//
// Pure: it does not know what a server says to its messages, and never guesses what a text means (sql.hpp does).
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace foreshadow::kinds::pg_gateway {

class Script {
 public:
  struct Item {
    enum class Kind : char {
      setting,
      reset,
      reset_all,  // every setting but role and session authorization
      parse,      // a statement by its Parse message
      prepare,    // a statement by its SQL text
      close,      // a statement that is no more, for server sessions that still have it
    };
    Kind kind = Kind::setting;
    std::string name;    // of the setting, in lower case; of the statement
    std::string body;    // the SQL text, or the body of the Parse message
    std::string around;  // statements: SQL that set what held only in the transaction it was made in
    std::uint64_t version = 0;
    bool statement() const { return kind == Kind::parse || kind == Kind::prepare; }
  };

  // `text`: the whole statement as the client sent it.
  void set(const std::string& name, std::string text);
  void reset(const std::string& name, std::string text);
  void reset_all();
  // A statement of that name that is there is replaced.
  void parse(const std::string& name, std::string body, std::string around);
  void prepare(const std::string& name, std::string text, std::string around);
  void deallocate(const std::string& name);
  void deallocate_all();
  void clear();

  // Moves with every change. A server session without anything is at 0.
  std::uint64_t version() const { return version_; }
  // Something was forgotten that a server session below this version may still have: it starts over.
  std::uint64_t horizon() const { return horizon_; }
  // Of texts and names; what a session may make of this is for its owner to bound.
  std::size_t bytes() const { return bytes_; }
  std::size_t statements() const { return statements_.size(); }
  const std::list<Item>& items() const { return items_; }

  // Bytes for the server, which answers them with `ready` times ReadyForQuery; if one of those comes with an error, it
  // was about `what`.
  struct Step {
    std::string bytes;
    int ready = 1;
    std::string what;
  };
  // For a server session that has followed up to `from` >= horizon(), or has nothing (0).
  std::vector<Step> steps(std::uint64_t from) const;
  // Takes a server session back to nothing, whatever it has followed.
  static Step start_over();

 private:
  using Place = std::list<Item>::iterator;
  void add(Item item);
  Place erase(Place at);
  void make(Item item);
  void compact();

  std::list<Item> items_;
  std::map<std::string, Place, std::less<>> statements_;
  std::map<std::string, Place, std::less<>> closed_;
  std::uint64_t version_ = 0;
  std::uint64_t horizon_ = 0;
  std::size_t bytes_ = 0;
  bool stale_ = false;  // settings are there only for the sake of statements
};

}  // namespace foreshadow::kinds::pg_gateway
