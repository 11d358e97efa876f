// The ids that clients send, and the line that is written of a request. Besides not crashing: what passes as a
// traceparent is one, what is added to a request is whole lines, and no byte of a client's gets out of its line.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kinds/http/wire/access_line.hpp"
#include "kinds/http/wire/identity.hpp"

namespace {
void demand(bool what) {
  if (!what) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace foreshadow::kinds::http;
  using Rules = IdentityRules;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto parent = parse_traceparent(bytes)) {
    demand(parent->trace_id.size() == 32 && parent->parent_id.size() == 16 && parent->flags < 256);
    demand(bytes.substr(0, 2) != "ff");
  }
  const auto cut = bytes.find('\n');
  const auto first = bytes.substr(0, cut), rest = cut == bytes.npos ? std::string_view{} : bytes.substr(cut + 1);
  RequestHead head;
  head.fields = {{"X-Request-ID", first}, {"traceparent", rest}, {"TraceState", "a=1"}};
  foreshadow::Random random(1);
  for (const auto ids : {Rules::Ids::pass, Rules::Ids::make, Rules::Ids::off})
    for (const auto traces : {Rules::Traces::pass, Rules::Traces::start, Rules::Traces::off})
      for (const bool told : {false, true}) {
        Identity identity;
        identify(identity, head, {}, {ids, traces, told}, random);
        demand(identity.lines.empty() || identity.lines.ends_with("\r\n"));
        demand(identity.lines.size() <= 128);
        demand(identity.trace_id.empty() == identity.span_id.empty());
        std::string line;
        append_access_line(line, {.method = first, .target = rest, .request_id = identity.request_id});
        demand(line.size() < 20 * size + 1024);
        for (const char c : line) demand(c >= 0x20 && c < 0x7f);
      }
  return 0;
}
