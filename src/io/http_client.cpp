#include "io/http_client.hpp"

#include <algorithm>
#include <array>

#include "io/http_answer.hpp"
#include "io/resolve.hpp"
#include "io/socket.hpp"
#include "io/tls_context.hpp"

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

// A connection that has reached somebody: plain, or under TLS.
class Wire {
 public:
  Wire(Fd fd, const Deadline& deadline, const StopEvent& stop, std::string what)
      : fd_(std::move(fd)), deadline_(deadline), stop_(stop), what_(std::move(what)) {}

  Result<void> secure(const HttpTls& tls) {
    stream_ = tls.client->connect(tls.server_name, what_);
    if (!stream_) return fail(Code::invalid, "'" + tls.server_name + "' is not a server name");
    return finish([&] { return stream_->handshake(fd_.get()); });
  }
  Result<void> send(std::string_view bytes) {
    if (!stream_) return send_all(fd_.get(), bytes, deadline_, stop_, what_);
    for (std::size_t sent = 0; sent < bytes.size();) {
      std::size_t count = 0;
      FS_CHECK(finish([&] { return stream_->write(fd_.get(), {bytes, {}, {}}, sent, count); }));
      sent += count;
    }
    return {};
  }
  // Appended; 0 at the end of the stream.
  Result<std::size_t> receive(std::string& into) {
    if (!stream_) return receive_some(fd_.get(), into, deadline_, stop_, what_);
    std::array<char, 16 << 10> buffer;
    std::size_t count = 0;
    bool ended = false;
    FS_CHECK(finish([&] {
      const auto step = stream_->read(fd_.get(), buffer.data(), buffer.size(), count);
      ended = step == TlsStream::Step::closed;
      return ended ? TlsStream::Step::done : step;
    }));
    into.append(buffer.data(), ended ? 0 : count);
    return ended ? 0 : count;
  }

 private:
  template <class Call>
  Result<void> finish(Call call) {
    for (;;) {
      switch (call()) {
        case TlsStream::Step::done:
          return {};
        case TlsStream::Step::want_read:
          FS_CHECK(await(fd_.get(), POLLIN, deadline_, stop_, what_));
          break;
        case TlsStream::Step::want_write:
          FS_CHECK(await(fd_.get(), POLLOUT, deadline_, stop_, what_));
          break;
        case TlsStream::Step::closed:
        case TlsStream::Step::truncated:
          return fail(Code::unreachable, what_ + ": the connection ended early");
        case TlsStream::Step::failed:
          return fail(stream_->established() ? Code::unreachable : Code::refused, what_ + ": TLS: " + stream_->why());
      }
    }
  }
  Fd fd_;
  const Deadline& deadline_;
  const StopEvent& stop_;
  std::string what_;
  std::unique_ptr<TlsStream> stream_;
};

}  // namespace

Result<HttpAnswer> http_get(const std::string& host, unsigned short port, const std::string& target, Millis timeout,
                            std::stop_token stop, const HttpTls& tls) {
  const auto started = std::chrono::steady_clock::now();
  const Deadline deadline(timeout);
  const StopEvent stopped(std::move(stop));
  FS_CHECK(check(host, target));
  const bool is_v6 = host.find(':') != std::string::npos;
  const std::string authority = (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
  FS_TRY(addresses, resolve(host, port, deadline, stopped));
  FS_TRY(fd, connect_any(addresses, deadline, stopped, authority));
  Wire wire(std::move(fd), deadline, stopped, authority);
  if (tls.client) FS_CHECK(wire.secure(tls));
  const std::string request = "GET " + target + " HTTP/1.1\r\nHost: " + authority +
                              "\r\nUser-Agent: foreshadow/" FORESHADOW_VERSION
                              "\r\nAccept: */*\r\nConnection: close\r\n\r\n";
  FS_CHECK(wire.send(request));
  HttpAnswerParser parser;
  std::string bytes;
  for (bool complete = false; !complete;) {
    bytes.clear();
    FS_TRY(count, wire.receive(bytes));
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
