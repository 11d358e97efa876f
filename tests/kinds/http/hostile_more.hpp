// More requests that must not be taken, beside hostile.hpp: the spellings by which requests are smuggled past a proxy,
// and what else a server must refuse (RFC 9110, RFC 9112). Rows say the status; the connection always closes.
#pragma once

#include "kinds/http/hostile.hpp"

namespace foreshadow::kinds::http::testing {

// Content-Length and Transfer-Encoding, together or misspelt (RFC 9112, sections 6.1 to 6.3).
inline std::vector<Hostile> hostile_framing() {
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  const std::string chunks = "\r\n0\r\n\r\n";
  const auto length = [&](const std::string& value) { return post + "Content-Length:" + value + "\r\n\r\nabcde"; };
  const auto coding = [&](const std::string& value) { return post + "Transfer-Encoding:" + value + "\r\n" + chunks; };
  return {
      {"CL.TE", post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400},
      {"TE.CL", post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n", 400},
      {"CL.TE, coding unknown", post + "Content-Length: 5\r\nTransfer-Encoding: nothing\r\n\r\nabcde", 400},
      {"CL.TE, coding empty", post + "Content-Length: 5\r\nTransfer-Encoding:\r\n\r\nabcde", 400},
      {"CL.TE, length 0", post + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n" + chunks, 400},
      {"CL.TE on GET", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n" + chunks,
       400},
      {"CL.TE, case of letters", post + "content-length: 5\r\nTRANSFER-ENCODING: CHUNKED\r\n" + chunks, 400},
      {"TE.TE, second unknown", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n" + chunks, 400},
      {"TE.TE, first unknown", post + "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n" + chunks, 400},
      {"TE.TE, one in capitals", post + "Transfer-Encoding: chunked\r\nTRANSFER-ENCODING: x\r\n" + chunks, 400},
      {"coding with a space before the colon", post + "Transfer-Encoding : chunked\r\n" + chunks, 400},
      {"coding with a leading space", post + " Transfer-Encoding: chunked\r\n" + chunks, 400},
      {"coding behind a bare LF", post + "A: b\nTransfer-Encoding: chunked\r\n" + chunks, 400},
      {"coding behind a bare CR", post + "A: b\rTransfer-Encoding: chunked\r\n" + chunks, 400},
      {"coding in a folded line", post + "A: b\r\n Transfer-Encoding: chunked\r\n" + chunks, 400},
      {"value in a folded line", post + "Transfer-Encoding: \r\n\tchunked\r\n" + chunks, 400},
      {"underscore for the hyphen", post + "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n" + chunks, 400},
      {"underscore for the length's hyphen", post + "Content_Length: 9\r\nContent-Length: 5\r\n\r\nabcde", 400},
      {"coding with NUL", coding(std::string(" chunked\0", 9)), 400},
      {"coding with a form feed",
       coding(" \x0c"
              "chunked"),
       400},
      {"coding with a no-break space",
       coding(" \xa0"
              "chunked"),
       400},
      {"coding cut by a space", coding(" chun ked"), 400},
      {"coding in single quotes", coding(" 'chunked'"), 400},
      {"coding with a semicolon", coding(" chunked;"), 400},
      {"coding in a list that begins empty", coding(" , chunked"), 501},
      {"coding in a list that ends empty", coding(" chunked,"), 501},
      {"chunked not last", coding(" chunked, gzip"), 400},
      {"gzip alone", coding(" gzip"), 400},
      {"identity then chunked", coding(" identity, chunked"), 400},
      {"a made-up coding first", coding(" cow, chunked"), 400},
      {"trailers as a coding", coding(" trailers"), 400},
      {"two words", coding(" chunked chunked"), 400},
      {"coding in HTTP/1.0 with a length",
       "POST / HTTP/1.0\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" + chunks, 400},
      {"identity in HTTP/1.0", "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", 400},
      {"list of lengths that differ", length(" 5, 6"), 400},
      {"list that ends empty", length(" 5,"), 400},
      {"list that begins empty", length(" ,5"), 400},
      {"length with a point", length(" 5.0"), 400},
      {"length with an exponent", length(" 5e0"), 400},
      {"length with digits grouped", length(" 1_000"), 400},
      {"length in hexadecimal letters", length(" a"), 400},
      {"length with a minus and 0", length(" -0"), 400},
      {"length with a plus and a space", length(" + 5"), 400},
      {"length with NUL", length(std::string(" 5\0", 3)), 400},
      {"length with a vertical tab",
       length(" \x0b"
              "5"),
       400},
      {"length with a semicolon", length(" 5;"), 400},
      {"length in quotes", length(" \"5\""), 400},
      {"length in another script", length(" \xd9\xa5"), 400},
      {"length of the largest 64 bits", length(" 18446744073709551615"), 400},
      {"length that wraps to 5", length(" 18446744073709551621"), 400},
      {"three lengths, the middle differs",
       post + "Content-Length: 5\r\nContent-Length: 6\r\nContent-Length: 5\r\n\r\nabcde", 400},
      {"lengths of different case", post + "Content-Length: 5\r\ncontent-length: 0\r\n\r\nabcde", 400},
      {"a length that is folded", post + "Content-Length: 5\r\n 0\r\n\r\nabcde", 400},
      {"two lengths on GET",
       "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\n", 400},
  };
}

// RFC 9112, section 7.1.
inline std::vector<Hostile> hostile_chunks() {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const auto chunk = [&](const std::string& size) { return head + size + "\r\nabc\r\n0\r\n\r\n"; };
  return {
      {"size with an underscore", chunk("0_3"), 400},
      {"size with a capital X", chunk("0X3"), 400},
      {"size with a point", chunk("3."), 400},
      {"size beyond hexadecimal", chunk("g"), 400},
      {"size behind an empty line", head + "\r\n3\r\nabc\r\n0\r\n\r\n", 400},
      {"size with a tab before it", chunk("\t3"), 400},
      {"size with a tab and nothing behind it", chunk("3\t"), 400},
      {"two sizes", chunk("3 3"), 400},
      {"size with NUL", chunk(std::string("3\0", 2)), 400},
      {"size with a CR inside", chunk("3\r3"), 400},
      {"size that wraps to 3", chunk("10000000000000003"), 400},
      {"size of 64 bits less one", chunk("ffffffffffffffff"), 400},
      {"size in quotes", chunk("\"3\""), 400},
      {"size behind a colon", chunk(":3"), 400},
      {"bare LF in an extension", head + "3;a\nabc\r\n0\r\n\r\n", 400},
      {"CR CR LF behind an extension", head + "3;a\r\r\nabc\r\n0\r\n\r\n", 400},
      {"extension without a size", chunk(";a=b"), 400},
      {"extension without a name", chunk("3;"), 400},
      {"extension without a value", chunk("3;a="), 400},
      {"extension whose quotes never close", chunk("3;a=\"b"), 400},
      {"extension with a quote inside", chunk("3;a=b\"c\""), 400},
      {"extension with something behind its quotes", chunk("3;a=\"b\"c"), 400},
      {"extension of two words", chunk("3;a b"), 400},
      {"extension of two values", chunk("3;a=b=c"), 400},
      {"extension with a space behind it", chunk("3;a "), 400},
      {"extension in another script", chunk("3;\xc3\xa4"), 400},
      {"no extension between two", chunk("3;a;;b"), 400},
      {"line end in an extension's quotes", head + "3;a=\"\r\nabc\r\n0\r\n\r\n", 400},
      {"DEL in an extension", chunk("3;a\x7f"), 400},
      {"chunk shorter than its size", head + "4\r\nabc\r\n0\r\n\r\n", 400},
      {"chunk without an end", head + "3\r\nabc0\r\n\r\n", 400},
      {"chunk that ends with CR alone", head + "3\r\nabc\r0\r\n\r\n", 400},
      {"last chunk ends with LF", head + "0\n\n", 400},
      {"last chunk's empty line is LF", head + "0\r\n\n", 400},
      {"last chunk's empty line is CR", head + "0\r\n\rX", 400},
      {"trailer with a bare CR", head + "0\r\nA: b\rc\r\n\r\n", 400},
      {"trailer with NUL", head + std::string("0\r\nA: \0\r\n\r\n", 10), 400},
      {"trailer with a space before the colon", head + "0\r\nA : b\r\n\r\n", 400},
      {"request in place of a trailer", head + "0\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"length as a trailer in capitals", head + "0\r\nCONTENT-LENGTH: 5\r\n\r\n", 400},
      {"length as a trailer with an underscore", head + "0\r\nContent_Length: 5\r\n\r\n", 400},
      {"authorization as a trailer", head + "0\r\nAuthorization: Basic eDp5\r\n\r\n", 400},
      {"our mark as a trailer", head + "0\r\nForeshadow-Mirror: 1\r\n\r\n", 400},
  };
}

// RFC 9112, sections 2 to 5.
inline std::vector<Hostile> hostile_lines() {
  const auto line = [](const std::string& start) { return start + "\r\nHost: h\r\n\r\n"; };
  const auto field = [](const std::string& text) { return "GET / HTTP/1.1\r\nHost: h\r\n" + text + "\r\n\r\n"; };
  const auto host = [](const std::string& value) { return "GET / HTTP/1.1\r\nHost: " + value + "\r\n\r\n"; };
  return {
      {"LF before the method", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"CR before the method", "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"NUL before the method", line(std::string("\0GET / HTTP/1.1", 15)), 400},
      {"no method", line(" / HTTP/1.1"), 400},
      {"no target", line("GET HTTP/1.1"), 400},
      {"nothing but a version", line("HTTP/1.1"), 400},
      {"an answer in place of a request", line("HTTP/1.1 200 OK"), 400},
      {"method with a colon", line("GET: / HTTP/1.1"), 400},
      {"method with NUL", line(std::string("GE\0T / HTTP/1.1", 15)), 400},
      {"method beyond ASCII", line("G\xc3\x8bT / HTTP/1.1"), 400},
      {"method in quotes", line("\"GET\" / HTTP/1.1"), 400},
      {"endless method", std::string(40'000, 'A'), 414},
      {"four words", line("GET / / HTTP/1.1"), 400},
      {"target with NUL", line(std::string("GET /\0 HTTP/1.1", 15)), 400},
      {"target with a vertical tab", line("GET /\x0b HTTP/1.1"), 400},
      {"target with DEL", line("GET /\x7f HTTP/1.1"), 400},
      {"target with a no-break space",
       line("GET /a\xa0"
            "b HTTP/1.1"),
       400},
      {"authority as the target of GET", line("GET h:80 HTTP/1.1"), 400},
      {"asterisk with a path", line("OPTIONS */a HTTP/1.1"), 400},
      {"query without a path", line("GET ?a=b HTTP/1.1"), 400},
      {"absolute target with a query alone", line("GET http://h?a=b HTTP/1.1"), 400},
      {"absolute target with a bad port", line("GET http://h:x/ HTTP/1.1"), 400},
      {"absolute target with two ports", line("GET http://h:80:80/ HTTP/1.1"), 400},
      {"absolute target with a port alone", line("GET http://:80/ HTTP/1.1"), 400},
      {"absolute target of another port", line("GET http://h:81/ HTTP/1.1"), 400},
      {"absolute target without Host", "GET http://h/ HTTP/1.1\r\n\r\n", 400},
      {"absolute target of one slash", line("GET http:/h/ HTTP/1.1"), 400},
      {"version without a minor", line("GET / HTTP/1."), 400},
      {"version without a major", line("GET / HTTP/.1"), 400},
      {"version with a comma", line("GET / HTTP/1,1"), 400},
      {"version with a sign", line("GET / HTTP/+1.1"), 400},
      {"version in three parts", line("GET / HTTP/1.1.1"), 400},
      {"version with a leading zero", line("GET / HTTP/01.1"), 400},
      {"version with a space", line("GET / HTTP/ 1.1"), 400},
      {"version of letters", line("GET / HTTP/x.y"), 400},
      {"another protocol", line("GET / HTTPS/1.1"), 400},
      {"ICE", line("SOURCE / ICE/1.0"), 400},
      {"RTSP", line("DESCRIBE rtsp://h/a RTSP/1.0"), 400},
      {"version 3 in text", line("GET / HTTP/3.0"), 505},
      {"TLS towards a plain port", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x0a\xff\xff", 14), 400},
      {"CONNECT in lower case", line("connect h:443 HTTP/1.1"), 400},
      {"CONNECT with a body", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nContent-Length: 5\r\n\r\nabcde", 501},
      {"no fields at all", "GET / HTTP/1.1\r\n\r\n", 400},
      {"name with NUL at its end", field(std::string("A\0: b", 5)), 400},
      {"name with a vertical tab",
       field("\x0b"
             "A: b"),
       400},
      {"name with a space inside", field("A B: c"), 400},
      {"name in parentheses", field("(A): b"), 400},
      {"name in quotes", field("\"A\": b"), 400},
      {"name with an at sign", field("A@: b"), 400},
      {"name with a bracket", field("A[0]: b"), 400},
      {"name with DEL", field("A\x7f: b"), 400},
      {"name with a CR", field("A\r: b"), 400},
      {"value with ESC", field("A: \x1b[0m"), 400},
      {"value with a backspace", field("A: b\b"), 400},
      {"value that ends with CR", field("A: b\r"), 400},
      {"value with a CR and a field", field("A: b\rB: c"), 400},
      {"fold of nothing", field("A: b\r\n "), 400},
      {"fold with a tab", field("A: b\r\n\tc"), 400},
      {"LF LF as the end", "GET / HTTP/1.1\r\nHost: h\n\n", 400},
      {"Host twice, in different case", "GET / HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n", 400},
      {"Host with a space before the colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
      {"Host with a bad port", host("h:x"), 400},
      {"Host with a signed port", host("h:-1"), 400},
      {"Host with two ports", host("h:80:81"), 400},
      {"Host that is a port alone", host(":80"), 400},
      {"Host with a scheme", host("http://h"), 400},
      {"Host with a query", host("h?a"), 400},
      {"Host with a fragment", host("h#a"), 400},
      {"Host with a backslash", host("h\\a"), 400},
      {"Host with a bracket alone", host("[::1"), 400},
      {"Host with brackets around nothing", host("[]"), 400},
      {"Host with brackets around a name", host("[h]"), 400},
      {"Host with something behind the bracket", host("[::1]x"), 400},
      {"Host with a broken escape", host("h%4"), 400},
      {"Host beyond ASCII", host("h\xc3\xa9"), 400},
      {"Host with NUL", host(std::string("h\0", 2)), 400},
      {"Host with a tab inside", host("a\tb"), 400},
      {"two expectations", field("Expect: 100-continue\r\nExpect: a-pony"), 417},
      {"expectation in a list", field("Expect: 100-continue, a-pony"), 417},
      {"expectation with a parameter", field("Expect: 100-continue;a=b"), 417},
  };
}

inline std::vector<Hostile> all_hostile_requests() {
  auto all = hostile_requests();
  for (auto* more : {&hostile_framing, &hostile_chunks, &hostile_lines})
    for (auto& row : more()) all.push_back(std::move(row));
  return all;
}

}  // namespace foreshadow::kinds::http::testing
