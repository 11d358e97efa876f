// The access log's line with everything in it that a client, an instance or a file of settings chose, cut from the
// input by line feeds. Besides not crashing: it is one line of plain ASCII, a reader of JSON takes it, finds each key
// once, and reads back what was written, byte for byte, of what was not cut.
#include <nlohmann/json.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "kinds/http/wire/access_line.hpp"

namespace {

using namespace foreshadow::kinds::http;

void require(bool condition) {
  if (!condition) std::abort();
}

// Each byte is the code point of its own value in the line; a reader gives it back in UTF-8.
std::string utf8(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xc0 | u >> 6);
      text += static_cast<char>(0x80 | (u & 0x3f));
    }
  }
  return text;
}

bool says(const nlohmann::json& value, std::string_view wanted) {
  return wanted.empty() ? value.is_null() : value == utf8(wanted);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 9) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::int64_t number = 0;
  for (int i = 0; i < 8; ++i) number = static_cast<std::int64_t>(static_cast<std::uint64_t>(number) << 8 | data[i]);
  const auto bits = data[8];
  bytes.remove_prefix(9);
  std::array<std::string_view, 10> texts;
  for (auto& text : texts) {
    const auto end = std::min(bytes.find('\n'), bytes.size());
    text = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  // Times are the clock's, not a client's: from 1970 to 9999.
  const std::int64_t at_ms = static_cast<std::int64_t>(static_cast<std::uint64_t>(number) % 253'402'300'800'000);
  const AccessLine line{.at_ms = at_ms,
                        .resource = texts[0],
                        .segment = texts[1],
                        .side = texts[2],
                        .instance = texts[3],
                        .client = texts[4],
                        .tls = (bits & 1) != 0,
                        .version = "HTTP/1.1",
                        .method = texts[5],
                        .target = texts[6],
                        .query = (bits & 2) != 0,
                        .status = bits & 4 ? static_cast<int>(number % 1000) : 0,
                        .bytes_in = static_cast<std::uint64_t>(number) >> 1,
                        .total_us = number,
                        .first_byte_us = number,
                        .mirrored = (bits & 8) != 0,
                        .error = texts[7],
                        .request_id = texts[8],
                        .trace_id = texts[9]};
  std::string out = "before";
  append_access_line(out, line);
  require(out.starts_with("before{"));
  out.erase(0, 6);
  for (const char c : out) require(c >= 0x20 && c < 0x7f);

  std::set<std::string> keys;
  const auto once = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event == nlohmann::json::parse_event_t::key) require(depth == 1 && keys.insert(parsed).second);
    return true;
  };
  const auto read = nlohmann::json::parse(out, once, false);
  require(read.is_object() && keys.size() == read.size());
  require(says(read["resource"], texts[0]) && says(read["segment"], texts[1]) && says(read["side"], texts[2]));
  require(says(read["instance"], texts[3]) && says(read["client"], texts[4]) && says(read["method"], texts[5]));
  require(says(read["error"], texts[7]) && says(read["request_id"], texts[8]) && says(read["trace_id"], texts[9]));
  require(read["tls"] == line.tls && read["mirrored"] == line.mirrored && read["total_us"] == number);
  require(line.status == 0 ? read["status"].is_null() : read["status"] == line.status);
  require(number < 0 ? read["first_byte_us"].is_null() : read["first_byte_us"] == number);
  const auto target = line.query ? texts[6] : texts[6].substr(0, std::min(texts[6].find('?'), texts[6].size() - 1) + 1);
  if (texts[6].empty() || target.size() <= kLoggedTargetMax)
    require(says(read["target"], target));
  else
    require(read["target"] == utf8(target.substr(0, kLoggedTargetMax)) + "...");
  return 0;
}
