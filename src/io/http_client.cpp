#include "io/http_client.hpp"

#include <algorithm>

#include "io/http_answer.hpp"
#include "io/resolve.hpp"
#include "io/socket.hpp"

namespace foreshadow::io {
namespace {

bool graphic(const std::string& text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

// The request goes out as it is, so nothing in it may end a line early.
Result<void> check(const std::string& host, const std::string& target) {
  if (host.empty() || !graphic(host) || host.find_first_of("/@#?") != std::string::npos)
    return fail(Code::invalid, "'" + host + "' is not a host name or address");
  if (!target.starts_with('/') || !graphic(target) || target.find('#') != std::string::npos)
    return fail(Code::invalid, "'" + target +
                                   "' is not a request target: it begins with '/' and holds no space, control "
                                   "character or '#'");
  return {};
}

// Each address gets its share of what is left, so that a dead IPv6 path leaves time for IPv4.
Result<Fd> connect_any(const std::vector<Address>& addresses, const Deadline& deadline, const StopEvent& stop,
                       const std::string& what) {
  Result<Fd> last = fail(Code::unreachable, what + ": no address");
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const Deadline share(deadline.left() / static_cast<Millis::rep>(addresses.size() - i));
    last = connect_tcp(&addresses[i].bytes, addresses[i].length, share, stop, what);
    if (last || last.error().code == Code::cancelled) return last;
  }
  return last;
}

}  // namespace

Result<HttpAnswer> http_get(const std::string& host, unsigned short port, const std::string& target, Millis timeout,
                            std::stop_token stop) {
  const auto started = std::chrono::steady_clock::now();
  const Deadline deadline(timeout);
  const StopEvent stopped(std::move(stop));
  FS_CHECK(check(host, target));
  const bool is_v6 = host.find(':') != std::string::npos;
  const std::string authority = (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
  FS_TRY(addresses, resolve(host, port, deadline, stopped));
  FS_TRY(fd, connect_any(addresses, deadline, stopped, authority));
  const std::string request = "GET " + target + " HTTP/1.1\r\nHost: " + authority +
                              "\r\nUser-Agent: foreshadow/" FORESHADOW_VERSION
                              "\r\nAccept: */*\r\nConnection: close\r\n\r\n";
  FS_CHECK(send_all(fd.get(), request, deadline, stopped, authority));
  HttpAnswerParser parser;
  std::string bytes;
  for (bool complete = false; !complete;) {
    bytes.clear();
    FS_TRY(count, receive_some(fd.get(), bytes, deadline, stopped, authority));
    if (count == 0) {
      if (!parser.began()) return fail(Code::unreachable, authority + ": closed the connection without an answer");
      if (auto ended = parser.end(); !ended) return fail(ended.error().code, authority + ": " + ended.error().what);
      break;
    }
    auto taken = parser.take(bytes);
    if (!taken) return fail(taken.error().code, authority + ": " + taken.error().what);
    complete = *taken;
  }
  return HttpAnswer{parser.status(), std::move(parser.body()),
                    std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - started)};
}

}  // namespace foreshadow::io
