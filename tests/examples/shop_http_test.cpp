#include <gtest/gtest.h>

#include <string>

#include "shop/http.hpp"

namespace shop {
namespace {

const std::string order = "POST /orders?x=1 HTTP/1.1\r\nHost: a\r\nForeshadow-Mirror: 1\r\nContent-Length: 2\r\n\r\n{}";

TEST(ShopHttp, ReadsARequestAndLeavesTheNext) {
  Request request;
  std::size_t used = 0;
  ASSERT_EQ(parse_request(order + "GET /", request, used), Parse::complete);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/orders");
  EXPECT_EQ(request.body, "{}");
  EXPECT_TRUE(request.mirrored);
  EXPECT_TRUE(request.keep_alive);
  EXPECT_EQ(used, order.size());
}

TEST(ShopHttp, EveryTruncationIsIncomplete) {
  for (std::size_t n = 0; n < order.size(); ++n) {
    Request request;
    std::size_t used = 0;
    EXPECT_EQ(parse_request(order.substr(0, n), request, used), Parse::incomplete) << n;
  }
}

TEST(ShopHttp, OnlyTheMarkItselfIsTheMark) {
  for (const auto* value : {"0", "", "true", "11"}) {
    Request request;
    std::size_t used = 0;
    ASSERT_EQ(parse_request(std::string("GET / HTTP/1.1\r\nForeshadow-Mirror: ") + value + "\r\n\r\n", request, used),
              Parse::complete);
    EXPECT_FALSE(request.mirrored) << value;
  }
}

TEST(ShopHttp, RefusesWhatItCannotFrame) {
  for (const std::string bad : {
           "GET /\r\n\r\n",
           "GET  HTTP/1.1\r\n\r\n",
           "GET x HTTP/1.1\r\n\r\n",
           "GET / HTTP/2.0\r\n\r\n",
           "GET / HTTP/1.1\r\nno colon\r\n\r\n",
           "GET / HTTP/1.1\r\nA : b\r\n\r\n",
           "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
           "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
           "POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n",
       }) {
    Request request;
    std::size_t used = 0;
    EXPECT_EQ(parse_request(bad, request, used), Parse::bad) << bad;
  }
  Request request;
  std::size_t used = 0;
  EXPECT_EQ(parse_request(std::string(header_bytes_max + 1, 'a'), request, used), Parse::bad);
}

TEST(ShopHttp, HeadHasALengthAndNoBody) {
  const auto text = serialise({200, "12345"}, false, true);
  EXPECT_NE(text.find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_NE(text.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
}

}  // namespace
}  // namespace shop
