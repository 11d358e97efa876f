// Requests that must not be taken, with the status that refuses them. Shared by the codec's tests and by those that
// send them through a real gateway and look at what reaches the service behind it.
#pragma once

#include <string>
#include <vector>

namespace foreshadow::kinds::http::testing {

struct Hostile {
  std::string name;
  std::string bytes;
  int status;
};

inline std::vector<Hostile> hostile_requests() {
  const std::string get = "GET / HTTP/1.1\r\nHost: h\r\n";
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  std::vector<Hostile> all = {
      // Lengths.
      {"length and chunked", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"chunked and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
      {"two lengths that differ", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 400},
      {"two lengths that agree", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", 400},
      {"a list of lengths", post + "Content-Length: 5, 5\r\n\r\nabcde", 400},
      {"signed length", post + "Content-Length: +5\r\n\r\nabcde", 400},
      {"negative length", post + "Content-Length: -5\r\n\r\nabcde", 400},
      {"hexadecimal length", post + "Content-Length: 0x5\r\n\r\nabcde", 400},
      {"length with a space inside", post + "Content-Length: 5 5\r\n\r\nabcde", 400},
      {"empty length", post + "Content-Length:\r\n\r\n", 400},
      {"overflowing length", post + "Content-Length: 18446744073709551617\r\n\r\na", 400},
      {"length past 63 bits", post + "Content-Length: 9223372036854775808\r\n\r\na", 400},
      // Transfer codings.
      {"xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
      {"chunkedx", post + "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", 400},
      {"quoted coding", post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400},
      {"coding with a parameter", post + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400},
      {"tab before the coding", post + "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", 400},
      {"tab after the coding", post + "Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n", 400},
      {"vertical tab in the coding",
       post + "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n0\r\n\r\n",
       400},
      {"chunked twice in a list", post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
      {"chunked twice in fields", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400},
      {"chunked then identity", post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400},
      {"identity and chunked in fields",
       post + "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"identity", post + "Transfer-Encoding: identity\r\n\r\n", 400},
      {"empty coding", post + "Transfer-Encoding:\r\n\r\n", 400},
      {"folded coding", post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},
      {"coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"a coding that is known", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
      // Lines and fields.
      {"bare LF after the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400},
      {"bare LF after a field", "GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
      {"bare LF as the end", "GET / HTTP/1.1\r\nHost: h\r\n\n", 400},
      {"bare CR in a value", get + "A: b\rc\r\n\r\n", 400},
      {"bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"CR CR LF", "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", 400},
      {"folded line", get + "A: b\r\n c\r\n\r\n", 400},
      {"first field folded", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400},
      {"NUL in a value", get + std::string("A: b\0c\r\n\r\n", 11), 400},
      {"NUL in a name", get + std::string("A\0: b\r\n\r\n", 9), 400},
      {"control character in a value", get + "A: b\x01\r\n\r\n", 400},
      {"DEL in a value", get + "A: b\x7f\r\n\r\n", 400},
      {"space before the colon", get + "A : b\r\n\r\n", 400},
      {"tab before the colon", post + "Content-Length\t: 5\r\n\r\nabcde", 400},
      {"empty name", get + ": b\r\n\r\n", 400},
      {"no colon", get + "nonsense\r\n\r\n", 400},
      {"slash in a name", get + "A/B: c\r\n\r\n", 400},
      {"non-ASCII name", get + "\xc3\xa4: b\r\n\r\n", 400},
      {"many empty lines first", "\r\n\r\n" + get + "\r\n", 400},
      // Request line.
      {"HTTP/0.9", "GET /\r\n\r\n", 400},
      {"two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"tab as separator", "GET\t/\tHTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"space after the version", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400},
      {"space before the method", " GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"method with a separator", "GE(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"lower-case http", "GET / http/1.1\r\nHost: h\r\n\r\n", 400},
      {"version with many digits", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", 400},
      {"version 2 in text", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
      {"HTTP/2 that is none", "PRI * HTTP/2.0\r\nHost: h\r\n\r\nSM\r\n\r\n", 505},
      {"version 0.9 in text", "GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505},
      // Where to.
      {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"two Hosts that agree", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
      {"Host with userinfo", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
      {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
      {"absolute target of another host", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400},
      {"absolute target with userinfo", "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"absolute target without a host", "GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"strange scheme", "GET gopher://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"control character in the target", "GET /a\x01 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"non-ASCII target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"relative target", "GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"asterisk for GET", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", 501},
      {"CONNECT to a path", "CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", 501},
      {"Upgrade to no protocol",
       get + "Connection: upgrade\r\nUpgrade: web socket\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"strange expectation", post + "Expect: a-pony\r\nContent-Length: 1\r\n\r\nx", 417},
      // Chunks.
      {"chunk without a size", chunked + "\r\nabc\r\n0\r\n\r\n", 400},
      {"chunk of hexadecimal notation", chunked + "0x3\r\nabc\r\n0\r\n\r\n", 400},
      {"signed chunk", chunked + "+3\r\nabc\r\n0\r\n\r\n", 400},
      {"negative chunk", chunked + "-3\r\nabc\r\n0\r\n\r\n", 400},
      {"overflowing chunk", chunked + "fffffffffffffffff\r\nabc\r\n0\r\n\r\n", 400},
      {"huge chunk", chunked + "7fffffffffffffff\r\nabc", 400},
      {"endless zeros", chunked + std::string(100, '0') + "3\r\nabc\r\n0\r\n\r\n", 400},
      {"space after the size", chunked + "3 \r\nabc\r\n0\r\n\r\n", 400},
      {"space before the size", chunked + " 3\r\nabc\r\n0\r\n\r\n", 400},
      {"chunk size ends with LF", chunked + "3\nabc\r\n0\r\n\r\n", 400},
      {"chunk longer than its size", chunked + "3\r\nabcd\r\n0\r\n\r\n", 400},
      {"chunk ends with LF", chunked + "3\r\nabc\n0\r\n\r\n", 400},
      {"bare CR in an extension", chunked + "3;a=\rb\r\nabc\r\n0\r\n\r\n", 400},
      {"NUL in an extension", chunked + std::string("3;a\0b\r\nabc\r\n0\r\n\r\n", 18), 400},
      {"flood of extensions", chunked + "3;" + std::string(5000, 'a') + "\r\nabc\r\n0\r\n\r\n", 400},
      {"trailer without a colon", chunked + "0\r\nnonsense\r\n\r\n", 400},
      {"folded trailer", chunked + "0\r\nA: b\r\n c\r\n\r\n", 400},
      {"trailer ends with LF", chunked + "0\r\nA: b\n\r\n", 400},
      {"length as a trailer", chunked + "0\r\nContent-Length: 5\r\n\r\n", 400},
      {"coding as a trailer", chunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"host as a trailer", chunked + "0\r\nHost: evil\r\n\r\n", 400},
      {"flood of trailers", chunked + "0\r\nA: " + std::string(9000, 'a') + "\r\n\r\n", 400},
      // Sizes.
      {"long target", "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
      {"endless first line", "GET /" + std::string(40'000, 'a'), 414},
      {"large field", get + "A: " + std::string(40'000, 'a') + "\r\n\r\n", 431},
      {"endless field", get + "A: " + std::string(60'000, 'a'), 431},
  };
  std::string many = get;
  for (int i = 0; i < 200; ++i) many += "A" + std::to_string(i) + ": b\r\n";
  all.push_back({"many fields", many + "\r\n", 431});
  return all;
}

}  // namespace foreshadow::kinds::http::testing
