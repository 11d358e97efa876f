#include "kinds/postgres/gateway/wire.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace foreshadow::kinds::pg_gateway {
namespace {

struct Rule {
  std::uint32_t bytes_max = 0;   // of the body; 0 with known=false: no such message
  std::uint32_t bytes_need = 0;  // of the body, before the piece is handed out
  bool known = false;
};

constexpr Rule small(std::uint32_t max = small_bytes_max) { return {max, max, true}; }
constexpr Rule large(std::uint32_t need) { return {large_bytes_max, need, true}; }

constexpr Rule frontend_rule(char type) {
  switch (type) {
    case 'Q':  // Query
    case 'P':  // Parse
      return large(inspect_bytes_max);
    case 'B':  // Bind: its names come first
      return large(4096);
    case 'F':  // FunctionCall
    case 'd':  // CopyData
      return large(0);
    case 'C':  // Close
    case 'D':  // Describe
    case 'E':  // Execute
    case 'H':  // Flush
    case 'S':  // Sync
    case 'X':  // Terminate
    case 'c':  // CopyDone
      return small();
    case 'f':  // CopyFail carries the client's own words
      return large(0);
    case 'p':  // password and SASL answers
      return small(auth_bytes_max);
    default:
      return {};
  }
}

constexpr Rule backend_rule(char type) {
  switch (type) {
    case 'R':  // Authentication
    case 'S':  // ParameterStatus
    case 'K':  // BackendKeyData
    case 'v':  // NegotiateProtocolVersion
      return small(auth_bytes_max);
    case 'Z':  // ReadyForQuery
      return small(1);
    case 'C':  // CommandComplete
      return small();
    case 'E':  // ErrorResponse: severity and SQLSTATE come first
    case 'N':  // NoticeResponse
      return large(4096);
    case 'A':  // NotificationResponse
    case 'D':  // DataRow
    case 'G':  // CopyInResponse
    case 'H':  // CopyOutResponse
    case 'T':  // RowDescription
    case 'V':  // FunctionCallResponse
    case 'W':  // CopyBothResponse
    case 'd':  // CopyData
    case 't':  // ParameterDescription
      return large(0);
    case '1':  // ParseComplete
    case '2':  // BindComplete
    case '3':  // CloseComplete
    case 'I':  // EmptyQueryResponse
    case 'c':  // CopyDone
    case 'n':  // NoData
    case 's':  // PortalSuspended
      return small(0);
    default:
      return {};
  }
}

std::string shown(char type) {
  const auto byte = static_cast<unsigned char>(type);
  return byte > 32 && byte < 127 ? fmt::format("'{}'", type) : fmt::format("0x{:02x}", byte);
}

constexpr std::uint32_t cancel_code = 80877102;
constexpr std::uint32_t ssl_code = 80877103;
constexpr std::uint32_t gss_code = 80877104;

}  // namespace

std::optional<std::string_view> take_string(std::string_view& bytes) {
  const auto end = bytes.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const auto text = bytes.substr(0, end);
  bytes.remove_prefix(end + 1);
  return text;
}

std::uint32_t read_u32(std::string_view b) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(b[i])); };
  return at(0) << 24 | at(1) << 16 | at(2) << 8 | at(3);
}

void append_u32(std::string& out, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(v >> shift & 0xff);
}

Result<std::optional<Piece>> Framer::next(std::string_view bytes) {
  if (left_ > 0) {
    if (bytes.empty()) return std::optional<Piece>{};
    Piece piece{.head = false, .type = type_, .length = length_};
    piece.body = bytes.substr(0, left_);
    piece.size = piece.body.size();
    left_ -= static_cast<std::uint32_t>(piece.size);
    return piece;
  }
  if (bytes.empty()) return std::optional<Piece>{};
  const char type = bytes[0];
  const Rule rule = origin_ == Origin::frontend ? frontend_rule(type) : backend_rule(type);
  if (!rule.known) return fail(Code::invalid, "invalid message type " + shown(type));
  if (bytes.size() < 5) return std::optional<Piece>{};
  const std::uint32_t word = read_u32(bytes.substr(1));
  if (word < 4 || word - 4 > rule.bytes_max)
    return fail(Code::invalid,
                fmt::format("invalid length {} of message {}", static_cast<std::int32_t>(word), shown(type)));
  const std::uint32_t length = word - 4;
  const std::size_t there = bytes.size() - 5;
  if (there < std::min(length, rule.bytes_need)) return std::optional<Piece>{};
  type_ = type;
  length_ = length;
  Piece piece{.head = true, .type = type, .length = length};
  piece.body = bytes.substr(5, length);
  piece.whole = piece.body.size() == length;
  piece.size = 5 + piece.body.size();
  left_ = length - static_cast<std::uint32_t>(piece.body.size());
  return piece;
}

std::string_view Startup::parameter(std::string_view name) const {
  const auto found =
      std::find_if(parameters.rbegin(), parameters.rend(), [&](const auto& p) { return p.first == name; });
  return found == parameters.rend() ? std::string_view{} : std::string_view(found->second);
}

std::string_view Startup::database() const {
  const auto named = parameter("database");
  return named.empty() ? user() : named;
}

bool Startup::replication() const {
  const auto value = parameter("replication");
  return !value.empty() && value != "false" && value != "off" && value != "no" && value != "0";
}

Result<std::optional<std::size_t>> startup_size(std::string_view bytes) {
  if (bytes.size() < 4) return std::optional<std::size_t>{};
  const std::uint32_t size = read_u32(bytes);
  if (size < 8 || size > startup_bytes_max)
    return fail(Code::invalid, fmt::format("invalid length {} of the startup packet", static_cast<std::int32_t>(size)));
  return std::optional<std::size_t>{size};
}

Result<Startup> parse_startup(std::string_view packet) {
  FS_TRY(size, startup_size(packet));
  if (!size || *size != packet.size()) return fail(Code::invalid, "truncated startup packet");
  Startup startup;
  startup.version = read_u32(packet.substr(4));
  std::string_view rest = packet.substr(8);
  switch (startup.version) {
    case ssl_code:
    case gss_code:
      if (!rest.empty()) return fail(Code::invalid, "bytes behind an encryption request");
      startup.kind = startup.version == ssl_code ? Startup::Kind::ssl : Startup::Kind::gss;
      return startup;
    case cancel_code:
      if (rest.size() < 8 || rest.size() > 4 + 256) return fail(Code::invalid, "invalid length of a cancel request");
      startup.kind = Startup::Kind::cancel;
      startup.pid = read_u32(rest);
      startup.secret = rest.substr(4);
      return startup;
    default:
      break;
  }
  if (startup.version >> 16 != 3)
    return fail(Code::invalid, fmt::format("unsupported frontend protocol {}.{}: server supports 3.0",
                                           startup.version >> 16, startup.version & 0xffff));
  for (;;) {
    const auto name = take_string(rest);
    if (!name) return fail(Code::invalid, "invalid startup packet layout: expected terminator as last byte");
    if (name->empty()) break;
    const auto value = take_string(rest);
    if (!value) return fail(Code::invalid, "invalid startup packet layout: parameter without a value");
    startup.parameters.emplace_back(*name, *value);
  }
  if (!rest.empty()) return fail(Code::invalid, "invalid startup packet layout: bytes behind the terminator");
  if (startup.user().empty()) return fail(Code::invalid, "no PostgreSQL user name specified in startup packet");
  return startup;
}

}  // namespace foreshadow::kinds::pg_gateway
