#include "kinds/postgres/gateway/wire.hpp"

#include <gtest/gtest.h>

#include "kinds/postgres/gateway/message.hpp"

namespace foreshadow::kinds::pg_gateway {
namespace {

std::string startup_bytes(std::vector<std::pair<std::string, std::string>> parameters) {
  Startup s;
  s.version = 3 << 16;
  s.parameters = std::move(parameters);
  return startup_packet(s);
}

// What a stream means must not depend on how the network cut it: feeds it in two parts, cut at every byte.
std::string told(Origin origin, std::string_view stream, std::size_t cut) {
  Framer framer(origin);
  std::string out, buffer;
  for (const auto part : {stream.substr(0, cut), stream.substr(cut)}) {
    buffer += part;
    for (;;) {
      const auto piece = framer.next(buffer);
      if (!piece) return out + "!" + piece.error().what;
      if (!*piece) break;
      if ((*piece)->head) out += std::string("\n") + (*piece)->type + std::to_string((*piece)->length) + ":";
      out += (*piece)->body;
      buffer.erase(0, (*piece)->size);
    }
  }
  return out + (buffer.empty() && framer.between_messages() ? "." : "...");
}

TEST(Wire, frontend_messages_survive_every_cut) {
  const std::string stream = query("SELECT 1") + message('P', std::string("s\0SELECT $1\0\0\0", 15)) +
                             message('B', std::string("\0s\0\0\0\0\0\0\0", 9)) +
                             message('E', std::string("\0\0\0\0\0", 5)) + sync() +
                             message('d', std::string(3000, 'x')) + message('c', {}) + terminate();
  const std::string whole = told(Origin::frontend, stream, stream.size());
  EXPECT_EQ(whole.back(), '.');
  EXPECT_EQ(whole.substr(whole.size() - 2), ":.");
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) ASSERT_EQ(told(Origin::frontend, stream, cut), whole) << cut;
}

TEST(Wire, backend_messages_survive_every_cut) {
  const std::string stream = authentication_ok() + parameter_status("a", "b") + backend_key_data({7, "abcd"}) +
                             message('T', std::string(200, 't')) + message('D', std::string(900, 'd')) +
                             message('C', std::string("SELECT 1\0", 9)) +
                             error_response("ERROR", "22012", "division by zero") + ready_for_query('T');
  const std::string whole = told(Origin::backend, stream, stream.size());
  EXPECT_EQ(whole.back(), '.');
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) ASSERT_EQ(told(Origin::backend, stream, cut), whole) << cut;
}

TEST(Wire, truncated_streams_wait_and_never_invent) {
  const std::string stream = query("SELECT 1") + sync();
  for (std::size_t size = 0; size < stream.size(); ++size) {
    const auto half = told(Origin::frontend, std::string_view(stream).substr(0, size), size);
    EXPECT_EQ(half.find('!'), std::string::npos) << size;
    if (size != query("SELECT 1").size()) EXPECT_TRUE(size == 0 || half.ends_with("...")) << size;
  }
}

TEST(Wire, bulk_is_handed_out_before_it_is_whole_and_statements_are_not) {
  const std::string row = message('D', std::string(100'000, 'r'));
  Framer server(Origin::backend);
  const auto piece = server.next(std::string_view(row).substr(0, 1000)).value();
  ASSERT_TRUE(piece);
  EXPECT_FALSE(piece->whole);
  EXPECT_EQ(piece->size, 1000U);
  const std::string statement = query(std::string(100'000, 'q'));
  Framer client(Origin::frontend);
  EXPECT_FALSE(client.next(std::string_view(statement).substr(0, 99'000)).value());
  const std::string huge = query(std::string(inspect_bytes_max + 10, 'q'));
  const auto start = client.next(huge).value();
  ASSERT_TRUE(start);
  EXPECT_EQ(start->size, huge.size());
}

TEST(Wire, hostile_lengths_are_refused_before_anything_is_waited_for) {
  const auto with_length = [](char type, std::uint32_t word) {
    std::string out(1, type);
    append_u32(out, word);
    return out;
  };
  for (const std::uint32_t word : {0U, 3U, 0x80000000U, 0xffffffffU, 0x40000004U}) {
    for (const char type : {'Q', 'P', 'B', 'd', 'S', 'X'}) {
      Framer f(Origin::frontend);
      EXPECT_FALSE(f.next(with_length(type, word))) << type << word;
    }
    for (const char type : {'D', 'Z', 'E', 'S'}) {
      Framer f(Origin::backend);
      EXPECT_FALSE(f.next(with_length(type, word))) << type << word;
    }
  }
  Framer small(Origin::frontend);
  EXPECT_FALSE(small.next(with_length('S', 4 + small_bytes_max + 1))) << "the server's own limit for short messages";
  Framer unknown(Origin::frontend);
  EXPECT_FALSE(unknown.next("\x01garbage"));
}

TEST(Wire, startup_packets) {
  const auto packet = startup_bytes({{"user", "ann"}, {"application_name", "x"}, {"application_name", "y"}});
  EXPECT_EQ(startup_size(packet).value(), packet.size());
  EXPECT_EQ(startup_size("\0\0").value(), std::nullopt);
  const auto s = parse_startup(packet).value();
  EXPECT_EQ(s.user(), "ann");
  EXPECT_EQ(s.database(), "ann");
  EXPECT_EQ(s.parameter("application_name"), "y") << "the server takes the last one";
  EXPECT_FALSE(s.replication());
  EXPECT_TRUE(parse_startup(startup_bytes({{"user", "u"}, {"replication", "database"}})).value().replication());
  EXPECT_FALSE(parse_startup(startup_bytes({{"user", "u"}, {"replication", "off"}})).value().replication());
  EXPECT_EQ(startup_packet(s), packet) << "written again as it was read";
  for (std::size_t size = 8; size < packet.size(); ++size) {
    std::string cut;
    append_u32(cut, static_cast<std::uint32_t>(size));
    cut += packet.substr(4, size - 4);
    EXPECT_FALSE(parse_startup(cut)) << size;
  }
}

// Family 10 of the bad inputs: lengths 0, negative, 2^31; unterminated parameters.
TEST(Wire, hostile_startup_packets) {
  for (const std::uint32_t word : {0U, 4U, 7U, 10'001U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
    std::string packet;
    append_u32(packet, word);
    append_u32(packet, 3 << 16);
    EXPECT_FALSE(startup_size(packet)) << word;
  }
  EXPECT_FALSE(parse_startup(startup_bytes({})));
  EXPECT_FALSE(parse_startup(startup_bytes({{"user", ""}})));
  const auto raw = [](std::uint32_t version, std::string_view body) {
    std::string packet;
    append_u32(packet, static_cast<std::uint32_t>(8 + body.size()));
    append_u32(packet, version);
    return packet + std::string(body);
  };
  EXPECT_FALSE(parse_startup(raw(3 << 16, "user")));
  EXPECT_FALSE(parse_startup(raw(3 << 16, std::string_view("user\0ann\0", 9))));
  EXPECT_FALSE(parse_startup(raw(3 << 16, std::string_view("user\0ann\0\0more", 14))));
  EXPECT_FALSE(parse_startup(raw(2 << 16, std::string_view("user\0ann\0\0", 10))));
  EXPECT_FALSE(parse_startup(raw(80877102, "1234567"))) << "a cancel request without a secret";
  EXPECT_EQ(parse_startup(raw(80877102, "12345678")).value().kind, Startup::Kind::cancel);
  EXPECT_EQ(parse_startup(raw(80877103, "")).value().kind, Startup::Kind::ssl);
  EXPECT_EQ(parse_startup(raw(80877104, "")).value().kind, Startup::Kind::gss);
  EXPECT_FALSE(parse_startup(raw(80877103, "x")));
}

TEST(Wire, errors_are_read_however_they_are_cut) {
  const std::string whole = error_response("FATAL", "57P01", "terminating connection", "a hint").substr(5);
  const auto fields = decode_error(whole);
  EXPECT_EQ(fields.severity, "FATAL");
  EXPECT_EQ(fields.sqlstate, "57P01");
  EXPECT_EQ(fields.message, "terminating connection");
  EXPECT_TRUE(fields.ends_session());
  for (std::size_t size = 0; size < whole.size(); ++size) decode_error(std::string_view(whole).substr(0, size));
  // Family 11: a backend error without SQLSTATE, or with nothing at all.
  EXPECT_EQ(decode_error(std::string_view("SERROR\0Mbad\0\0", 13)).sqlstate, "");
  EXPECT_EQ(decode_error({}).severity, "");
}

TEST(Wire, malformed_bodies_decode_to_nothing) {
  EXPECT_FALSE(decode_parse("no end"));
  EXPECT_FALSE(decode_bind(std::string_view("portal\0no end", 13)));
  EXPECT_FALSE(decode_target("Xname"));
  EXPECT_FALSE(decode_target(""));
  EXPECT_FALSE(decode_target(std::string_view("Sname\0more", 10)));
  EXPECT_FALSE(decode_ready("X"));
  EXPECT_FALSE(decode_ready("II"));
  EXPECT_FALSE(decode_backend_key("1234567"));
  EXPECT_FALSE(decode_backend_key(std::string(300, 'k')));
  EXPECT_FALSE(decode_auth("123"));
  EXPECT_FALSE(decode_parameter_status(std::string_view("name\0value", 10)));
  EXPECT_EQ(decode_backend_key("\x01\x02\x03\x04secret").value().pid, 0x01020304U);
}

}  // namespace
}  // namespace foreshadow::kinds::pg_gateway
