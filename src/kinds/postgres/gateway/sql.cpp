#include "kinds/postgres/gateway/sql.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

namespace foreshadow::kinds::pg_gateway {
namespace {

enum class TokenKind { word, quoted, string, number, parameter, symbol };

struct Token {
  TokenKind kind = TokenKind::symbol;
  std::string_view text;  // as written; quotes included
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool continues_word(char c) { return starts_word(c) || is_digit(c) || c == '$'; }

bool same(std::string_view a, std::string_view lowercase) {
  return a.size() == lowercase.size() &&
         std::equal(a.begin(), a.end(), lowercase.begin(), [](char x, char y) { return lower(x) == y; });
}
bool starts(std::string_view a, std::string_view lowercase) {
  return a.size() >= lowercase.size() && same(a.substr(0, lowercase.size()), lowercase);
}
std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

// PostgreSQL's lexical structure (manual, chapter "Lexical Structure"), as far as quoting and comments decide where
// words are.
class Lexer {
 public:
  Lexer(std::string_view text, bool backslashes) : text_(text), backslashes_(backslashes) {}
  std::size_t position() const { return at_; }

  std::optional<Token> next() {
    skip_blank();
    if (at_ >= text_.size()) return std::nullopt;
    const std::size_t from = at_;
    const char c = text_[at_];
    if (c == '\'') return string(from, backslashes_);
    if (c == '"') return quoted(from);
    if (c == '$') {
      if (auto dollar = dollar_string(from)) return dollar;
      ++at_;
      while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
      return token(TokenKind::parameter, from);
    }
    if (starts_word(c)) {
      while (at_ < text_.size() && continues_word(text_[at_])) ++at_;
      const auto word = text_.substr(from, at_ - from);
      const char follows = peek();
      // E'..' B'..' X'..' N'..' U&'..' U&".."
      if (follows == '\'' && word.size() == 1 && std::string_view("eEbBxXnN").find(c) != std::string_view::npos)
        return string(from, lower(c) == 'e' || backslashes_);
      if (same(word, "u") && follows == '&' && at_ + 1 < text_.size()) {
        const char quote = text_[at_ + 1];
        if (quote == '\'' || quote == '"') {
          ++at_;
          return quote == '"' ? quoted(from) : string(from, false);
        }
      }
      return token(TokenKind::word, from);
    }
    if (is_digit(c)) {
      while (at_ < text_.size() && (continues_word(text_[at_]) || text_[at_] == '.')) ++at_;
      return token(TokenKind::number, from);
    }
    ++at_;
    return token(TokenKind::symbol, from);
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  Token token(TokenKind kind, std::size_t from) const { return {kind, text_.substr(from, at_ - from)}; }

  void skip_blank() {
    while (at_ < text_.size()) {
      if (is_space(text_[at_])) {
        ++at_;
      } else if (text_.substr(at_, 2) == "--") {
        while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
      } else if (text_.substr(at_, 2) == "/*") {
        int depth = 0;  // comments nest
        do {
          const auto two = text_.substr(at_, 2);
          if (two == "/*") ++depth;
          if (two == "*/") --depth;
          at_ += two == "/*" || two == "*/" ? 2 : 1;
        } while (depth > 0 && at_ < text_.size());
      } else {
        return;
      }
    }
  }

  // at_ is at the opening quote or its prefix is behind us; an unterminated string goes to the end, the server refuses
  // it.
  Token string(std::size_t from, bool escapes) {
    ++at_;
    while (at_ < text_.size()) {
      if (escapes && text_[at_] == '\\') {
        at_ += 2;
      } else if (text_[at_] == '\'') {
        ++at_;
        if (peek() != '\'') break;
        ++at_;
      } else {
        ++at_;
      }
    }
    at_ = std::min(at_, text_.size());
    return token(TokenKind::string, from);
  }

  Token quoted(std::size_t from) {
    ++at_;
    while (at_ < text_.size()) {
      if (text_[at_++] != '"') continue;
      if (peek() != '"') break;
      ++at_;
    }
    return token(TokenKind::quoted, from);
  }

  std::optional<Token> dollar_string(std::size_t from) {
    std::size_t end = from + 1;
    if (end < text_.size() && is_digit(text_[end])) return std::nullopt;
    while (end < text_.size() && continues_word(text_[end]) && text_[end] != '$') ++end;
    if (end >= text_.size() || text_[end] != '$') return std::nullopt;
    const auto tag = text_.substr(from, end - from + 1);
    const auto close = text_.find(tag, end + 1);
    at_ = close == std::string_view::npos ? text_.size() : close + tag.size();
    return token(TokenKind::string, from);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool backslashes_;
};

// An identifier as the server folds it.
std::string folded(const Token& token) {
  if (token.kind != TokenKind::quoted) return lowered(token.text);
  std::string_view inner = token.text;
  const auto open = inner.find('"');
  inner.remove_prefix(open + 1);
  if (!inner.empty() && inner.back() == '"') inner.remove_suffix(1);
  std::string out;
  for (std::size_t i = 0; i < inner.size(); ++i) {
    out += inner[i];
    if (inner[i] == '"') ++i;
  }
  return out;
}

bool word(const Token& token, std::string_view lowercase) {
  return token.kind == TokenKind::word && same(token.text, lowercase);
}

// Words in a DO block that could change the session; found anywhere in its body, also inside strings run by EXECUTE.
bool block_touches_session(std::string_view body) {
  const std::string text = lowered(body);
  for (const std::string_view risky :
       {"temp", "listen", "advisory", "set_config", "with hold", "load", "discard", "reset", "dblink", "currval",
        "lastval", "replication_origin", "prepare", "deallocate"})
    if (text.find(risky) != std::string::npos) return true;
  // "set" only as a word, and UPDATE ... SET is far more frequent than SET itself: look for one that begins a
  // statement.
  for (std::size_t at = text.find("set "); at != std::string::npos; at = text.find("set ", at + 4)) {
    std::size_t before = at;
    while (before > 0 && is_space(text[before - 1])) --before;
    if (before == 0 || std::string_view(";'$").find(text[before - 1]) != std::string_view::npos) return true;
    if (before >= 5 && text.compare(before - 5, 5, "begin") == 0) return true;
    if (before >= 4 && (text.compare(before - 4, 4, "then") == 0 || text.compare(before - 4, 4, "loop") == 0 ||
                        text.compare(before - 4, 4, "else") == 0))
      return true;
  }
  return false;
}

class Inspector {
 public:
  Inspector(std::string_view text, bool backslashes) : text_(text), lexer_(text, backslashes) {}

  Inspection run() {
    int depth = 0;
    std::size_t begin = 0;
    while (auto token = lexer_.next()) {
      if (token->kind == TokenKind::symbol) {
        if (token->text == "(") ++depth;
        if (token->text == ")") depth = std::max(0, depth - 1);
        if (token->text == ";" && depth == 0) {
          finish_statement(text_.substr(begin, lexer_.position() - 1 - begin));
          begin = lexer_.position();
          continue;
        }
      }
      add(*token);
    }
    finish_statement(text_.substr(begin));
    result_.plain_select = plain_ && result_.statements == 1 && result_.effects.empty();
    return std::move(result_);
  }

 private:
  static constexpr std::size_t head_max = 24;

  void add(const Token& token) {
    if (count_ < head_max) head_[count_] = token;
    ++count_;
    scan(token);
    before_ = last_;
    last_ = token;
  }

  // Patterns that may stand anywhere in a statement.
  void scan(const Token& token) {
    if (token.kind == TokenKind::symbol && token.text == "(") {
      const bool called = last_.kind == TokenKind::word || last_.kind == TokenKind::quoted;
      open_.push_back(called && folded(last_) == "set_config");
      if (called) call(folded(last_));
      return;
    }
    if (token.kind == TokenKind::symbol && token.text == ")" && !open_.empty()) {
      if (open_.back() && !(word(last_, "true") && before_.text == ",")) lasting_config_ = true;
      open_.pop_back();
      return;
    }
    if (token.kind == TokenKind::quoted && starts(folded(token), "pg_temp")) temporary_ = true;
    if (token.kind != TokenKind::word) return;
    const auto t = token.text;
    if (word(last_, "with") && same(t, "hold")) with_hold_ = true;
    if (same(t, "into")) into_ = true;
    if (word(last_, "into") && (same(t, "temp") || same(t, "temporary"))) temporary_ = true;
    if ((word(last_, "local") || word(last_, "global")) && word(before_, "into") &&
        (same(t, "temp") || same(t, "temporary")))
      temporary_ = true;
    if (word(last_, "for") && (same(t, "update") || same(t, "share") || same(t, "no") || same(t, "key"))) locks_ = true;
    if (word(before_, "on") && word(last_, "commit") && same(t, "drop")) on_commit_drop_ = true;
    if (starts(t, "pg_temp")) temporary_ = true;
  }

  void call(const std::string& function) {
    const auto begins = [&](std::string_view prefix) { return function.compare(0, prefix.size(), prefix) == 0; };
    if (begins("pg_advisory_lock") || begins("pg_try_advisory_lock")) effect(Effect::Kind::advisory_lock);
    if (function == "pg_advisory_unlock_all") effect(Effect::Kind::advisory_unlock_all);
    if (function == "set_config") set_config_ = true;
    if (function == "currval" || function == "lastval") pin("currval() or lastval()");
    if (begins("dblink_connect")) pin("dblink connection");
    if (begins("pg_replication_origin_session")) pin("replication origin");
    if (begins("pg_") || begins("lo_") || begins("dblink")) administers_ = true;
  }

  void effect(Effect::Kind kind, std::string name = {}, std::string text = {}) {
    found_.push_back({kind, std::move(name), std::move(text)});
  }
  void pin(std::string reason) { effect(Effect::Kind::pin, {}, std::move(reason)); }

  bool is(std::size_t i, std::string_view lowercase) const {
    return i < std::min(count_, head_max) && word(head_[i], lowercase);
  }
  // U&"..", of which we do not know what it spells
  bool escaped(std::size_t i) const { return i < std::min(count_, head_max) && starts(head_[i].text, "u&\""); }
  std::string name(std::size_t i) const { return i < std::min(count_, head_max) ? folded(head_[i]) : std::string(); }

  void finish_statement(std::string_view text) {
    if (count_ > 0) {
      ++result_.statements;
      classify(text);
      for (auto& e : found_) result_.effects.push_back(std::move(e));
    }
    found_.clear();
    count_ = 0;
    last_ = before_ = {};
    open_.clear();
    with_hold_ = into_ = temporary_ = locks_ = on_commit_drop_ = set_config_ = lasting_config_ = administers_ = false;
  }

  void classify(std::string_view text) {
    using Kind = Effect::Kind;
    if (set_config_) set_config(text);
    if (is(0, "set")) return set(text);
    if (is(0, "reset")) return reset(text);
    if (is(0, "prepare")) {
      if (is(1, "transaction")) {
        result_.may_commit = true;
        return;
      }
      if (escaped(1)) return pin("prepared statement with an escaped name");
      return effect(Kind::prepare, name(1), std::string(text));
    }
    if (is(0, "execute")) return effect(Kind::execute, name(1));
    if (is(0, "deallocate")) {
      const std::size_t at = is(1, "prepare") ? 2 : 1;
      return is(at, "all") ? effect(Kind::deallocate_all) : effect(Kind::deallocate, name(at));
    }
    if (is(0, "listen")) {
      if (escaped(1)) return pin("LISTEN with an escaped name");
      return effect(Kind::listen, name(1), std::string(text));
    }
    if (is(0, "unlisten")) return name(1) == "*" ? effect(Kind::unlisten_all) : effect(Kind::unlisten, name(1));
    if (is(0, "discard")) {
      if (is(1, "all")) effect(Kind::discard_all);
      if (is(1, "temp") || is(1, "temporary")) effect(Kind::discard_temporary);
      return;
    }
    if (is(0, "close")) return is(1, "all") ? effect(Kind::close_all) : effect(Kind::close_cursor, name(1));
    if (is(0, "declare") && with_hold_) return effect(Kind::hold_cursor, name(1));
    if (is(0, "load")) return pin("LOAD");
    if (is(0, "commit") || is(0, "end")) {
      result_.may_commit = true;
      return;
    }
    if (is(0, "rollback") || is(0, "abort")) return rollback();
    if (is(0, "call")) result_.may_commit = true;
    if (is(0, "do")) {
      result_.may_commit = true;
      if (block_touches_session(text)) pin("DO block that may change the session");
      return;
    }
    if (is(0, "create")) {
      std::size_t at = is(1, "or") && is(2, "replace") ? 3 : 1;
      if (is(at, "global") || is(at, "local")) ++at;
      temporary_ = temporary_ || is(at, "temp") || is(at, "temporary");
    }
    if (temporary_ && !on_commit_drop_) effect(Kind::temporary);
    plain_ = is(0, "select") && !into_ && !locks_ && !temporary_ && !administers_;
  }

  void rollback() {
    const std::size_t at = is(1, "work") || is(1, "transaction") ? 2 : 1;
    if (is(at, "to")) {
      result_.to_savepoint = true;
    } else if (is(at, "prepared")) {
      result_.may_commit = true;
    } else {
      result_.rolls_back = true;
    }
  }

  void set(std::string_view text) {
    std::size_t at = 1;
    if (is(1, "transaction") || is(1, "constraints")) return;
    if (is(1, "local")) {
      if (text.size() > 4096) return pin("SET that cannot be repeated");
      return effect(Effect::Kind::local_setting, named(2), std::string(text));
    }
    std::string what;
    if (is(1, "session") && is(2, "characteristics")) {
      what = lowered(text);  // each form sets something else, so each is its own name
    } else if (is(1, "session") && is(2, "authorization")) {
      what = "session authorization";
    } else {
      if (is(1, "session")) at = 2;
      what = named(at);
      if (at + 1 < count_ && what != "role" && is_default(at))
        return effect(Effect::Kind::reset, what, std::string(text));
    }
    if (what.empty() || text.size() > 4096) return pin("SET that cannot be repeated");
    effect(Effect::Kind::setting, std::move(what), std::string(text));
  }

  // SET name TO DEFAULT, SET name = DEFAULT
  bool is_default(std::size_t at) const {
    const std::size_t n = std::min(count_, head_max);
    return count_ <= head_max && n >= at + 3 && word(head_[n - 1], "default");
  }

  // The setting's name at token `at`, with the special spellings of SET and RESET.
  std::string named(std::size_t at) const {
    if (is(at, "time") && is(at + 1, "zone")) return "timezone";
    if (is(at, "names")) return "client_encoding";
    if (is(at, "schema")) return "search_path";
    if (is(at, "xml")) return "xmloption";
    std::string out = lowered(name(at));
    for (std::size_t i = at + 1; i + 1 < std::min(count_, head_max) && head_[i].text == "."; i += 2)
      out += "." + lowered(name(i + 1));
    return out;
  }

  void reset(std::string_view text) {
    if (is(1, "all")) return effect(Effect::Kind::reset_all, {}, std::string(text));
    const bool authorization = is(1, "session") && is(2, "authorization");
    effect(Effect::Kind::reset, authorization ? "session authorization" : named(1), std::string(text));
  }

  // SELECT [pg_catalog.]set_config('name', 'value', false) says itself again; with `true` it ends with the transaction.
  void set_config(std::string_view text) {
    std::size_t at = 1;
    if (is(1, "pg_catalog") && name(2) == ".") at = 3;
    const bool shape = is(0, "select") && count_ == at + 8 && is(at, "set_config") &&
                       head_[at + 2].kind == TokenKind::string && head_[at + 3].text == "," &&
                       head_[at + 4].kind == TokenKind::string && head_[at + 5].text == ",";
    const bool local = !lasting_config_ && open_.empty();
    if (!shape || !(local || is(at + 6, "false")) || text.size() > 4096 || head_[at + 2].text[0] != '\'') {
      // It ends with its transaction, whatever it is.
      if (local) return effect(Effect::Kind::local_setting);
      return pin("set_config() that cannot be repeated");
    }
    const auto quoted = head_[at + 2].text;
    effect(local ? Effect::Kind::local_setting : Effect::Kind::setting, lowered(quoted.substr(1, quoted.size() - 2)),
           std::string(text));
  }

  std::string_view text_;
  Lexer lexer_;
  Inspection result_;
  std::vector<Effect> found_;
  std::array<Token, head_max> head_{};
  std::size_t count_ = 0;
  Token last_, before_;
  std::vector<char> open_;  // parentheses; set for those of a call of set_config()
  bool with_hold_ = false, into_ = false, temporary_ = false, locks_ = false, on_commit_drop_ = false,
       set_config_ = false, lasting_config_ = false, administers_ = false, plain_ = false;
};

}  // namespace

Inspection inspect(std::string_view text, bool backslashes) { return Inspector(text, backslashes).run(); }

}  // namespace foreshadow::kinds::pg_gateway
