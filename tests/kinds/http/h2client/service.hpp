// A service that speaks HTTP/2, frame by frame, so that it can also do what no service should. Only HPACK is nghttp2's.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http::testing {

struct H2Request {
  std::uint32_t stream = 0;
  std::map<std::string, std::string> fields;  // pseudo-header fields too
  std::map<std::string, std::string> trailers;
  std::string body;
  bool ended = false;
  std::optional<std::uint32_t> reset;
  std::string path() const { return fields.at(":path"); }
};

// One connection, from its preface on.
class H2Peer {
 public:
  using Settings = std::vector<std::pair<std::uint16_t, std::uint32_t>>;
  explicit H2Peer(Stream& stream, const Settings& settings = {});
  ~H2Peer();
  H2Peer(const H2Peer&) = delete;
  H2Peer& operator=(const H2Peer&) = delete;

  bool greeted() const { return greeted_; }
  bool send(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {});
  bool head(std::uint32_t stream, const Fields& fields, bool end = true);
  // As much as the windows allow at each moment, reading meanwhile. False: reset, or the connection is over.
  bool body(std::uint32_t stream, std::string_view bytes, bool end = true);
  // 200 with this body.
  bool answer(std::uint32_t stream, const std::string& body, const Fields& more = {});
  bool goaway(std::uint32_t last_stream, std::uint32_t code = 0) {
    return send(kGoaway, 0, 0, uint32(last_stream) + uint32(code));
  }
  bool reset(std::uint32_t stream, std::uint32_t code) { return send(kRstStream, 0, stream, uint32(code)); }
  // Reads one frame; nothing at the end of the connection.
  std::optional<Frame> read();
  // The next request that has come whole; null at the end of the connection.
  H2Request* next();
  // The next whose head has come.
  H2Request* next_head();
  // Reads on until then. False: the connection ended first.
  bool read_until(const std::function<bool()>& enough);
  H2Request& request(std::uint32_t stream) { return requests_[stream]; }
  std::int64_t window(std::uint32_t stream) const;

  bool answers_pings = true;
  bool gives_windows = true;  // back what came at once
  std::size_t pings = 0;
  std::optional<std::uint32_t> goaway_code;  // that came

 private:
  void take(const Frame& frame);
  void take_head(const Frame& frame);
  Stream& stream_;
  nghttp2_hd_deflater* deflater_ = nullptr;
  nghttp2_hd_inflater* inflater_ = nullptr;
  bool greeted_ = false;
  std::map<std::uint32_t, H2Request> requests_;
  std::deque<std::uint32_t> heads_, wholes_;
  std::int64_t connection_window_ = 65'535;
  std::int64_t initial_window_ = 65'535;
  std::map<std::uint32_t, std::int64_t> windows_;  // less the initial one
};

// A gateway that speaks HTTP/2 to its instances.
struct H2Upstream : Rig {
  H2Upstream() { listener().options["upstream_http"] = "h2"; }
  // Each request is answered by its own thread's turn; what came is kept.
  using Handler = std::function<void(H2Peer& peer, H2Request& request)>;
  void serve(Backend& backend, Handler handler, H2Peer::Settings settings = {});
  // Answers 200 with the backend's name and the request's target.
  void serve(Backend& backend) {
    serve(backend, [&backend](H2Peer& peer, H2Request& request) {
      peer.answer(request.stream, backend.name() + " " + request.path());
    });
  }
  std::vector<H2Request> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  std::unique_ptr<H2Client> client(const H2Peer::Settings& settings = {}) {
    return std::make_unique<H2Client>(connect(), settings);
  }
  std::optional<Message> post_http1(const std::string& path, const std::string& body) const {
    return ask("POST " + path + " HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<H2Request> seen_;
};

}  // namespace foreshadow::kinds::http::testing
