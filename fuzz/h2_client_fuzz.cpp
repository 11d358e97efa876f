// What an instance that speaks HTTP/2 can send to us, as frames and as garbage between them. Besides not crashing: what
// waits for a client never passes its window, what a head turns into reads back as one head or is refused, no request
// is called unprocessed that had an answer, and nothing is left when the connection goes.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <list>
#include <string>

#include "kinds/http/h2client/mux.hpp"

namespace {

using namespace foreshadow::kinds::http;
using namespace foreshadow::kinds::http::h2client;

void require(bool condition) {
  if (!condition) std::abort();
}

constexpr std::uint32_t kWindow = 65'535;
constexpr std::size_t kHeadMax = 4096;
const std::string kBody(3000, 'b');

struct Caller final : StreamOwner {
  Stream* stream = nullptr;
  bool answered = false;
  void changed() override {}
};

void read_head(const std::string& text) {
  const Limits limits{.head_bytes_max = 2 * kHeadMax, .fields_max = kHeadMax};
  const auto head = parse_response_head(text, limits);
  require(!head || std::count(text.begin(), text.end(), '\n') == static_cast<long>(head->fields.size()) + 2);
}

void begin(Mux& mux, std::list<Caller>& callers, std::size_t n) {
  if (callers.size() >= mux.streams_max()) return;
  const auto fields = request_fields("POST /x HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n", false);
  require(fields.has_value());
  auto* const stream = mux.open(*fields, n % 2 == 0);
  if (!stream) return;
  auto& caller = callers.emplace_back();
  caller.stream = stream;
  stream->owner = &caller;
  if (n % 2 == 0) mux.offer(*stream, kBody);
  if (n % 4 == 0) mux.finish(*stream, "x-sum: 1\r\n");
}

// Works on every answer a step further, differently by its turn.
void work(Mux& mux, std::list<Caller>& callers, std::size_t turn) {
  for (auto at = callers.begin(); at != callers.end(); ++turn) {
    auto& stream = *at->stream;
    for (const auto& text : std::exchange(stream.interim, {})) {
      at->answered = true;
      read_head(text);
    }
    if (stream.answered() && !at->answered) {
      at->answered = true;
      read_head(stream.head);
    }
    require(!(stream.refused() && stream.answered()));
    require(stream.body.size() <= kWindow);
    if (turn % 3 != 0) {
      mux.consume(stream, stream.body.size());
      stream.body.clear();
    }
    if (stream.closed() || turn % 7 == 0) {
      mux.release(stream);
      at = callers.erase(at);
    } else {
      ++at;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Settings settings{.streams_max = 8, .stream_window = kWindow, .idle_frames_max = 200};
  Mux::Time now{};
  Mux mux(settings, kHeadMax, now);
  std::list<Caller> callers;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t step = 1 + static_cast<unsigned char>(bytes[0]) * 8;
  const std::size_t pull = 1 + static_cast<unsigned char>(bytes[1]) * 64;
  bytes.remove_prefix(2);
  std::string sent;
  for (std::size_t turn = 1; !bytes.empty(); ++turn) {
    begin(mux, callers, turn);
    sent.clear();
    mux.pull(sent, pull);
    mux.receive(bytes.substr(0, step), now);
    bytes.remove_prefix(std::min(step, bytes.size()));
    now += std::chrono::milliseconds(1);
    work(mux, callers, turn);
  }
  mux.abandon(size);
  for (auto& caller : callers) {
    require(caller.stream->closed());
    require(!(caller.stream->refused() && caller.stream->answered()));
    mux.release(*caller.stream);
  }
  return 0;
}
