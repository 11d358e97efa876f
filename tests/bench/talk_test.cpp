#include "gateway/talk.hpp"

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <memory>

#include "gateway/h2_talk.hpp"
#include "gateway/tally.hpp"

namespace foreshadow::bench {
namespace {

std::string output_of(Talk& talk) {
  std::string out;
  talk.take_output(out);
  return out;
}

TEST(H1Talk, asks_and_writes) {
  H1Talk talk("/16");
  talk.ask(0, 0);
  EXPECT_TRUE(output_of(talk).starts_with("GET /16 HTTP/1.1\r\nHost: "));
  talk.ask(0, 7);
  const auto write = output_of(talk);
  EXPECT_TRUE(write.starts_with("POST /write HTTP/1.1\r\n"));
  EXPECT_NE(write.find("\r\nWrite-Id: 7\r\nContent-Length: 0\r\n\r\n"), write.npos);
  EXPECT_EQ(output_of(talk), "");
}

TEST(H1Talk, tells_an_answer_and_whether_there_may_be_another) {
  H1Talk talk("/2");
  std::vector<Answer> answers;
  talk.ask(0, 0);
  EXPECT_TRUE(talk.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx", answers));
  EXPECT_TRUE(answers.empty());
  EXPECT_TRUE(talk.feed("x", answers));
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].status, 200);
  EXPECT_TRUE(talk.takes_more());
  talk.ask(0, 0);
  EXPECT_TRUE(talk.feed("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", answers));
  EXPECT_FALSE(talk.takes_more());
  talk.ask(0, 0);
  EXPECT_FALSE(talk.feed("SSH-2.0-x\r\n\r\n", answers));
}

// A server of HTTP/2 without sockets: notes what it is asked, answers when it is told to.
class Server {
 public:
  Server() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name, std::size_t name_length,
                      const std::uint8_t* value, std::size_t length, std::uint8_t, void* self) {
          static_cast<Server*>(self)->fields += std::string(reinterpret_cast<const char*>(name), name_length) + "=" +
                                                std::string(reinterpret_cast<const char*>(value), length) + "\n";
          return 0;
        });
    nghttp2_session* session = nullptr;
    nghttp2_session_server_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    session_.reset(session);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, nullptr, 0);
  }

  void feed(std::string_view bytes) {
    EXPECT_EQ(
        nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()),
        static_cast<ssize_t>(bytes.size()));
  }

  // `length`: what content-length says; `body`: what comes.
  void answer(std::int32_t stream, std::string status, std::string length, std::string body) {
    body_ = std::move(body);
    const auto field = [](std::string_view name, std::string& value) {
      return nghttp2_nv{.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                        .value = reinterpret_cast<std::uint8_t*>(value.data()),
                        .namelen = name.size(),
                        .valuelen = value.size(),
                        .flags = NGHTTP2_NV_FLAG_NONE};
    };
    const std::array fields{field(":status", status), field("content-length", length)};
    nghttp2_data_provider data{.source = {.ptr = this}, .read_callback = read};
    EXPECT_EQ(nghttp2_submit_response(session_.get(), stream, fields.data(), fields.size(), &data), 0);
  }

  void reset(std::int32_t stream) {
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream, NGHTTP2_REFUSED_STREAM);
  }
  void go_away() { nghttp2_session_terminate_session(session_.get(), NGHTTP2_NO_ERROR); }

  std::string output() {
    std::string out;
    const std::uint8_t* bytes = nullptr;
    for (ssize_t n = 0; (n = nghttp2_session_mem_send(session_.get(), &bytes)) > 0;)
      out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(n));
    return out;
  }

  std::string fields;

 private:
  static ssize_t read(nghttp2_session*, std::int32_t, std::uint8_t* into, std::size_t room, std::uint32_t* flags,
                      nghttp2_data_source* source, void*) {
    auto& body = static_cast<Server*>(source->ptr)->body_;
    const auto n = std::min(room, body.size());
    std::copy_n(body.begin(), n, into);
    body.erase(0, n);
    if (body.empty()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(n);
  }

  std::string body_;
  std::unique_ptr<nghttp2_session, decltype(&nghttp2_session_del)> session_{nullptr, nghttp2_session_del};
};

struct H2 : testing::Test {
  H2() {
    server.feed(output_of(talk));
    hear();
  }
  bool hear() { return talk.feed(server.output(), answers); }
  void ask(std::size_t place, std::uint64_t write = 0) {
    talk.ask(place, write);
    server.feed(output_of(talk));
  }

  H2Talk talk{"/2", "https", 4};
  Server server;
  std::vector<Answer> answers;
};

TEST_F(H2, asks_as_a_client_does) {
  ask(0);
  for (const auto* field : {":method=GET\n", ":scheme=https\n", ":authority=bench.example\n", ":path=/2\n"})
    EXPECT_NE(server.fields.find(field), server.fields.npos) << field;
  ask(1, 9);
  EXPECT_NE(server.fields.find("write-id=9\n"), server.fields.npos);
}

TEST_F(H2, answers_come_to_the_place_that_asked_whatever_their_order) {
  ask(2);
  ask(0);
  server.answer(3, "200", "2", "xx");
  EXPECT_TRUE(hear());
  server.answer(1, "503", "2", "xx");
  EXPECT_TRUE(hear());
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].place, 0U);
  EXPECT_EQ(answers[0].status, 200);
  EXPECT_EQ(answers[1].place, 2U);
  EXPECT_EQ(answers[1].status, 503);
  ask(2);
  server.answer(5, "200", "2", "xx");
  EXPECT_TRUE(hear());
  EXPECT_EQ(answers.back().place, 2U);
}

TEST_F(H2, large_answers_wait_for_no_window) {
  ask(0);
  server.answer(1, "200", "1000000", std::string(1'000'000, 'x'));
  EXPECT_TRUE(hear());
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].status, 200);
}

TEST_F(H2, what_is_reset_or_cut_is_no_answer) {
  ask(0);
  ask(1);
  server.reset(1);
  server.answer(3, "200", "3", "xx");
  EXPECT_TRUE(hear());
  ASSERT_EQ(answers.size(), 2U);
  for (const auto& answer : answers) EXPECT_EQ(answer.status, 0) << answer.place;
  ask(1);
  server.answer(5, "200", "0", "");
  EXPECT_TRUE(hear());
  EXPECT_EQ(answers.back().status, 200) << "the others go on";
}

TEST_F(H2, goaway_is_heard) {
  EXPECT_TRUE(talk.takes_more());
  server.go_away();
  EXPECT_TRUE(hear());
  EXPECT_FALSE(talk.takes_more());
}

TEST_F(H2, what_is_not_http2_is_refused) {
  EXPECT_FALSE(talk.feed("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", answers));
}

TEST(Tally, counts_what_failed_with_its_latency) {
  Tally tally;
  for (int i = 1; i <= 99; ++i) {
    tally.answered(i <= 90);
    tally.took(i * 1'000'000);
  }
  tally.failed("reset");
  tally.took(5'000'000'000);
  EXPECT_EQ(tally.failed(), 1U);
  const auto json = tally.json(2);
  for (const auto* part : {"\"answered\":99,", "\"failed\":1,", "\"failures\":{\"reset\":1}", "\"rps\":45.0,",
                           "\"p50_ms\":51.0", "\"max_ms\":5000.0"})
    EXPECT_NE(json.find(part), json.npos) << part << " in " << json;
}

}  // namespace
}  // namespace foreshadow::bench
