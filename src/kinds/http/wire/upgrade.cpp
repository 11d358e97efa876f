#include "kinds/http/wire/upgrade.hpp"

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

// name ["/" version]
bool is_protocol(std::string_view text) {
  const auto slash = text.find('/');
  return is_token(text.substr(0, slash)) && (slash == std::string_view::npos || is_token(text.substr(slash + 1)));
}

bool holds(std::string_view list, std::string_view protocol) {
  bool found = false;
  for_each_element(list, [&](std::string_view one) { found = found || equals_ignoring_case(one, protocol); });
  return found;
}

template <class F>
void for_each_protocol(const std::vector<Field>& fields, F&& each) {
  for (const auto& field : fields)
    if (equals_lower(field.name, "upgrade")) for_each_element(field.value, each);
}

}  // namespace

Parsed<std::string> offered_protocols(const RequestHead& head, const Connection& connection) {
  std::string offer;
  // Of HTTP/1.0 it must be ignored, and without the word in Connection it is not for us.
  if (!connection.upgrade || head.minor == 0) return offer;
  bool proper = true;
  for_each_protocol(head.fields, [&](std::string_view protocol) {
    proper = proper && is_protocol(protocol);
    if (equals_lower(protocol, "h2c")) return;
    if (!offer.empty()) offer += ", ";
    offer.append(protocol);
  });
  if (!proper) return tl::make_unexpected(Refusal{400, "malformed Upgrade"});
  return offer;
}

std::string named_protocols(const ResponseHead& head, const Connection& connection) {
  std::string named;
  if (!connection.upgrade) return named;
  bool proper = true;
  for_each_protocol(head.fields, [&](std::string_view protocol) {
    proper = proper && is_protocol(protocol);
    if (!named.empty()) named += ", ";
    named.append(protocol);
  });
  return proper ? named : std::string{};
}

bool takes_up(const ResponseHead& head, const Connection& connection, std::string_view offer) {
  if (head.status != 101 || head.minor == 0) return false;
  const auto named = named_protocols(head, connection);
  bool all_offered = !named.empty();
  for_each_element(named, [&](std::string_view protocol) { all_offered = all_offered && holds(offer, protocol); });
  return all_offered;
}

bool is_websocket(std::string_view protocols) { return equals_lower(protocols, "websocket"); }

}  // namespace foreshadow::kinds::http
