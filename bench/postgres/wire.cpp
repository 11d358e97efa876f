#include "postgres/wire.hpp"

#include <cctype>
#include <cstdint>

namespace foreshadow::bench::pg {
namespace {

constexpr std::uint32_t kVersion = 3 << 16;
// Far above what any answer to the loader's statements has.
constexpr std::uint32_t kMessageMax = 1 << 20;
// What has been read is thrown away once it is this much.
constexpr std::size_t kCompactAt = 64 << 10;

void put32(std::string& out, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(v >> shift);
}
void put16(std::string& out, std::size_t v) {
  out += static_cast<char>(v >> 8);
  out += static_cast<char>(v);
}
void put_text(std::string& out, std::string_view text) {
  out += text;
  out += '\0';
}

std::uint32_t get32(std::string_view bytes) {
  std::uint32_t v = 0;
  for (int i = 0; i < 4; ++i) v = v << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  return v;
}

// Writes a length, itself included, once what it counts is there.
class Length {
 public:
  explicit Length(std::string& out) : out_(out), at_(out.size()) { put32(out, 0); }
  ~Length() {
    const auto n = static_cast<std::uint32_t>(out_.size() - at_);
    for (std::size_t i = 0; i < 4; ++i) out_[at_ + i] = static_cast<char>(n >> (24 - 8 * i));
  }
  Length(const Length&) = delete;
  Length& operator=(const Length&) = delete;

 private:
  std::string& out_;
  std::size_t at_;
};

bool is_number(std::string_view text) {
  return !text.empty() && (std::isdigit(static_cast<unsigned char>(text[0])) != 0 || text[0] == '-');
}

// Our own parameters only: numbers, and names of letters, digits and dashes.
void put_with_parameters(std::string& out, const Statement& statement) {
  const auto& sql = statement.sql;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    if (sql[i] != '$') {
      out += sql[i];
      continue;
    }
    const auto& value = statement.parameters[static_cast<std::size_t>(sql[++i] - '1')];
    if (is_number(value))
      out += value;
    else
      out.append(1, '\'').append(value).append(1, '\'');
  }
  out += '\0';
}

void add_query(std::string& out, const Statement& statement) {
  out += 'Q';
  const Length length(out);
  put_with_parameters(out, statement);
}

void add_unnamed(std::string& out, const Statement& statement) {
  out += 'P';
  {
    const Length length(out);
    put_text(out, "");
    put_text(out, statement.sql);
    put16(out, 0);
  }
  out += 'B';
  {
    const Length length(out);
    put_text(out, "");
    put_text(out, "");
    put16(out, 0);
    put16(out, statement.parameters.size());
    for (const auto& value : statement.parameters) {
      put32(out, static_cast<std::uint32_t>(value.size()));
      out += value;
    }
    put16(out, 0);
  }
  out += 'D';
  {
    const Length length(out);
    out += 'P';
    put_text(out, "");
  }
  out += 'E';
  {
    const Length length(out);
    put_text(out, "");
    put32(out, 0);
  }
  out += 'S';
  put32(out, 4);
}

}  // namespace

void add_startup(std::string& out, std::string_view user, std::string_view database) {
  const Length length(out);
  put32(out, kVersion);
  for (const auto text : {std::string_view("user"), user, std::string_view("database"), database}) put_text(out, text);
  out += '\0';
}

void add_statement(std::string& out, const Statement& statement, Protocol protocol) {
  if (protocol == Protocol::simple)
    add_query(out, statement);
  else
    add_unnamed(out, statement);
}

void Reader::feed(std::string_view bytes) {
  if (at_ == buffer_.size()) {
    buffer_.clear();
    at_ = 0;
  } else if (at_ > kCompactAt) {
    buffer_.erase(0, at_);
    at_ = 0;
  }
  buffer_ += bytes;
}

std::optional<Message> Reader::next() {
  const std::string_view rest = std::string_view(buffer_).substr(at_);
  if (broken_ || rest.size() < 5) return {};
  const auto length = get32(rest.substr(1, 4));
  if (length < 4 || length > kMessageMax) {
    broken_ = true;
    return {};
  }
  if (rest.size() < 1 + std::size_t{length}) return {};
  at_ += 1 + std::size_t{length};
  return Message{rest[0], rest.substr(5, length - 4)};
}

std::string_view error_field(std::string_view body, char field) {
  while (!body.empty() && body[0] != '\0') {
    const auto end = body.find('\0', 1);
    if (end == std::string_view::npos) return {};
    if (body[0] == field) return body.substr(1, end - 1);
    body.remove_prefix(end + 1);
  }
  return {};
}

int authentication_code(std::string_view body) { return body.size() < 4 ? -1 : static_cast<int>(get32(body)); }

std::string_view tag_of(std::string_view body) { return body.substr(0, body.find('\0')); }

}  // namespace foreshadow::bench::pg
