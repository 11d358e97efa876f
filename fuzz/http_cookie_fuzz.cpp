// What a client sends to say who it is: the setting `sticky` (first line), then the fields of a request. Besides not
// crashing: a client is the same one on every connection as long as it sends the same, never "nobody" by its own
// choice, and what we set as a cookie is read back from it.
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kinds/http/session/affinity.hpp"
#include "kinds/http/wire/cookie.hpp"

namespace {

using namespace foreshadow::kinds::http;
using By = Sticky::By;

void require(bool condition) {
  if (!condition) std::abort();
}

boost::asio::ip::tcp::endpoint client(unsigned short port) { return {boost::asio::ip::address_v4(0xc0000201), port}; }

void key_of(const Sticky& sticky, const RequestHead& head) {
  Affinity one(client(1)), other(client(2));
  const auto key = one.key(sticky, head);
  require((key.sticky == 0) == (sticky.by == By::request));
  require(key.sticky == one.key(sticky, head).sticky);
  require(key.new_client == one.remembers());
  std::string_view value;
  if (sticky.by == By::cookie) value = find_cookie(head.fields, sticky.name);
  if (sticky.by == By::header)
    if (const auto* field = find_field(head.fields, sticky.name)) value = field->value;
  if (!value.empty()) require(key.sticky == hash_of(value));
  if (!value.empty() || sticky.by == By::address) require(key.sticky == other.key(sticky, head).sticky);
  if (!key.new_client) return;
  const auto cookie = one.set_cookie(true);
  const std::vector<Field> sent{{"Cookie", cookie}};
  require(cookie.ends_with("; Secure") && find_cookie(sent, kOwnCookie).size() == 32);
  RequestHead next;
  next.fields = sent;
  require(!other.key(sticky, next).new_client && other.key(sticky, next).sticky == key.sticky);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto cut = bytes.find('\n');
  const auto sticky = parse_sticky(bytes.substr(0, cut));
  require(sticky || !sticky.error().what.empty());
  if (cut == std::string_view::npos) return 0;
  std::string lines;
  for (bytes.remove_prefix(cut + 1); !bytes.empty();) {
    const auto end = std::min(bytes.find('\n'), bytes.size());
    lines.append(bytes.substr(0, end)).append("\r\n");
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  const auto fields = parse_fields(lines, {});
  if (!fields) return 0;
  RequestHead head;
  head.fields = *fields;
  for (const std::string_view name : {"session", "s", "foreshadow-side"}) {
    const auto value = find_cookie(head.fields, name);
    require(value.find(';') == std::string_view::npos);
    key_of({By::cookie, std::string(name)}, head);
  }
  for (const auto by : {By::connection, By::request, By::address, By::own_cookie}) key_of({by, {}}, head);
  if (sticky) key_of(*sticky, head);
  for (const int status : {200, 204, 301, 304, 404, 410}) {
    ResponseHead answer;
    answer.status = status;
    answer.fields = *fields;
    const bool may = may_set_cookie(answer);
    require(!(may && status == 304));
    // Whoever says nothing to caches has nothing stored; whoever forbids it, neither.
    if (fields->empty() && (status == 200 || status == 204)) require(may);
  }
  return 0;
}
