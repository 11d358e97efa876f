// What one HTTP/2 client can send, as frames and as garbage between them. Besides not crashing: what waits for a
// service never passes the windows, the number of streams stays bounded, what is sent to a client is whole frames, and
// a request that is passed on reads back as one request.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <list>
#include <string>

#include "kinds/http/h2/mux.hpp"

namespace {

using namespace foreshadow::kinds::http;
using namespace foreshadow::kinds::http::h2;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Worker final : StreamOwner {
  Stream* stream = nullptr;
  bool answered = false;
  void changed() override {}
};

const std::string kBody(3000, 'b');

// Serves every stream a step further, differently by its id.
void work(Mux& mux, std::list<Worker>& workers, const Limits& limits) {
  for (auto* fresh : mux.take_fresh()) {
    auto& worker = workers.emplace_back();
    worker.stream = fresh;
    fresh->owner = &worker;
    if (const auto text = fresh->head.request_text()) {
      const auto head = parse_request_head(*text, limits);
      require(!head || std::count(text->begin(), text->end(), '\n') == static_cast<long>(head->fields.size()) + 2);
    }
  }
  for (auto at = workers.begin(); at != workers.end();) {
    auto& stream = *at->stream;
    const auto kind = stream.id() / 2 % 4;
    if (kind != 3) {
      mux.consume(stream, stream.body.size());
      stream.body.clear();
    }
    if (!at->answered && (stream.ended() || kind == 1)) {
      at->answered = true;
      if (stream.ended()) static_cast<void>(stream.trailers.trailer_text());
      if (kind == 2) {
        mux.answer_whole(stream, 503, {{"retry-after", "1"}}, "no\n");
      } else {
        mux.answer(stream, 200, {{"via", "1.1 foreshadow"}}, true);
        mux.offer(stream, kBody);
        mux.finish(stream, "x-sum: 1\r\n");
      }
    }
    if (stream.closed() || (at->answered && (kind == 2 || stream.pending() == 0))) {
      mux.release(stream);
      at = workers.erase(at);
    } else {
      ++at;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Settings settings{.streams_max = 8, .stream_window = 4096, .resets_max = 20, .idle_frames_max = 200};
  const Limits limits{.head_bytes_max = 4096};
  FrameGuard::Time now{};
  Mux mux(settings, limits, now);
  std::list<Worker> workers;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t step = 1 + static_cast<unsigned char>(bytes[0]) * 8;
  const std::size_t pull = 1 + static_cast<unsigned char>(bytes[1]) * 64;
  bytes.remove_prefix(2);
  std::string sent, out;
  while (!bytes.empty() && !mux.done()) {
    mux.receive(bytes.substr(0, step), now);
    bytes.remove_prefix(std::min(step, bytes.size()));
    work(mux, workers, limits);
    out.clear();
    mux.pull(out, pull);
    sent += out;
    require(mux.streams() <= 2 * settings.streams_max);
    std::size_t held = 0;
    for (const auto& worker : workers) held += worker.stream->body.size();
    // Before its SETTINGS are acknowledged a client may fill what RFC 9113 gives it.
    require(held <= settings.connection_window && held <= settings.streams_max * 2 * std::size_t{65'535});
  }
  for (int i = 0; i < 100; ++i) {
    work(mux, workers, limits);
    out.clear();
    mux.pull(out, 1 << 20);
    if (out.empty()) break;
    sent += out;
  }
  for (std::string_view frames = sent; !frames.empty();) {
    require(frames.size() >= 9);
    const auto length =
        static_cast<std::size_t>(static_cast<unsigned char>(frames[0]) << 16 |
                                 static_cast<unsigned char>(frames[1]) << 8 | static_cast<unsigned char>(frames[2]));
    require(length <= 16'384 * 1024 && frames.size() >= 9 + length);
    frames.remove_prefix(9 + length);
  }
  mux.abandon();
  for (auto& worker : workers) mux.release(*worker.stream);
  require(mux.streams() == 0);
  return 0;
}
