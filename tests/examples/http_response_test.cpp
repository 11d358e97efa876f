#include "load/http_response.hpp"

#include <gtest/gtest.h>

#include <string>

namespace load {
namespace {

TEST(HttpResponse, ReadsOneAndLeavesTheNext) {
  const std::string one = "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello";
  HttpResponse response;
  std::size_t used = 0;
  ASSERT_EQ(read_response(one + "HTTP/1.1 2", response, used), Reading::complete);
  EXPECT_EQ(response.status, 201);
  EXPECT_TRUE(response.keep_alive);
  EXPECT_EQ(used, one.size());
}

TEST(HttpResponse, ReadsChunksWithExtensionsAndTrailers) {
  const std::string one =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n";
  HttpResponse response;
  std::size_t used = 0;
  ASSERT_EQ(read_response(one, response, used), Reading::complete);
  EXPECT_EQ(used, one.size());
}

TEST(HttpResponse, EveryTruncationIsIncomplete) {
  for (const std::string whole :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n"}) {
    for (std::size_t n = 0; n < whole.size(); ++n) {
      HttpResponse response;
      std::size_t used = 0;
      EXPECT_EQ(read_response(whole.substr(0, n), response, used), Reading::incomplete) << whole.substr(0, n);
    }
  }
}

TEST(HttpResponse, RefusesWhatHasNoCertainEnd) {
  for (const std::string bad : {
           "HTTP/1.1 200 OK\r\n\r\n",                                                          // until close
           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",           // twice
           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",  // both
           "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
           "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX",
           "nonsense\r\n\r\n",
       }) {
    HttpResponse response;
    std::size_t used = 0;
    EXPECT_EQ(read_response(bad, response, used), Reading::bad) << bad;
  }
}

TEST(HttpResponse, KnowsWhenTheServerWillClose) {
  HttpResponse response;
  std::size_t used = 0;
  ASSERT_EQ(read_response("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", response, used),
            Reading::complete);
  EXPECT_FALSE(response.keep_alive);
  ASSERT_EQ(read_response("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", response, used), Reading::complete);
  EXPECT_FALSE(response.keep_alive);
}

}  // namespace
}  // namespace load
