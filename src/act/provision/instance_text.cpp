#include "act/provision/instance_text.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace foreshadow::act {
namespace {

using nlohmann::json;

constexpr std::size_t kTextMax = 64 << 10;
constexpr std::size_t kNameMax = 256;

tl::unexpected<Error> wrong(const std::string& what) { return fail(Code::invalid, what); }

// Names end up in file names, labels and tables.
bool plain(const std::string& name) {
  return !name.empty() && name.size() <= kNameMax && name.front() != '-' && name.front() != '.' &&
         std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

bool printable(const std::string& text) {
  return text.size() <= 4096 && std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// Parsed with the library's events, to see a field that stands twice: it would keep only the last.
Result<json> parse_once(std::string_view text) {
  std::vector<std::set<std::string>> open;
  std::string twice;
  bool too_deep = false;
  const json::parser_callback_t watch = [&](int depth, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end && !open.empty()) open.pop_back();
    if (event == json::parse_event_t::key && !open.empty() && !open.back().insert(value.get<std::string>()).second &&
        twice.empty())
      twice = value.get<std::string>();
    too_deep |= depth > 4;
    return !too_deep;
  };
  json object;
  try {
    object = json::parse(text, watch);
  } catch (const json::exception& e) {
    return wrong(
        std::string("standard output must be exactly one JSON object; print anything else to standard error (") +
        e.what() + ")");
  }
  if (too_deep) return wrong("standard output is nested too deep for an instance");
  if (!twice.empty()) return wrong("'" + twice + "' stands twice; give it once");
  return object;
}

Result<std::string> text_field(const json& object, const char* name, bool required) {
  const auto field = object.find(name);
  if (field == object.end()) {
    if (required) return wrong(std::string("'") + name + "' is missing; print it");
    return std::string();
  }
  if (!field->is_string()) return wrong(std::string("'") + name + "' must be a text, not " + field->type_name());
  auto text = field->get<std::string>();
  if (!printable(text)) return wrong(std::string("'") + name + "' is too long or holds control characters");
  return text;
}

Result<std::string> path_field(const json& object, const char* name) {
  FS_TRY(path, text_field(object, name, false));
  if (!path.empty() && path.front() != '/')
    return wrong(std::string("'") + name + "' must be an absolute path, not '" + path + "'");
  return path;
}

Result<Endpoint> parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  Endpoint endpoint;
  unsigned port = 0;
  const auto* end = text.data() + text.size();
  const bool split = colon != std::string::npos && colon > 0;
  const auto parsed = split ? std::from_chars(text.data() + colon + 1, end, port)
                            : std::from_chars_result{end, std::errc::invalid_argument};
  if (parsed.ec != std::errc{} || parsed.ptr != end || port == 0 || port > 65535)
    return wrong("'address' must be \"host:port\" with a port from 1 to 65535, not '" + text + "'");
  endpoint.host = text.substr(0, colon);
  endpoint.port = static_cast<std::uint16_t>(port);
  if (endpoint.host.starts_with('[') && endpoint.host.ends_with(']'))
    endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
  else if (endpoint.host.find(':') != std::string::npos)
    return wrong("'address': write an IPv6 address in brackets, \"[::1]:80\", not '" + text + "'");
  if (endpoint.host.empty() || endpoint.host.find_first_of(" []@?#") != std::string::npos)
    return wrong("'address' has no proper host: '" + text + "'");
  return endpoint;
}

std::string same_host(const std::string& host) { return host == "localhost" || host == "::1" ? "127.0.0.1" : host; }
std::string same_path(const std::string& path) {
  auto normal = std::filesystem::path(path).lexically_normal().string();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

// Work sent to such a "shadow" would be sent to the failing primary, and giving it back would destroy the primary.
Result<void> check_differs(const Instance& shadow, const Instance& primary) {
  const auto own = [](const char* field, const std::string& value) {
    return wrong(std::string("'") + field + "' is the primary's own (" + value +
                 "): the shadow must be another instance");
  };
  if (shadow.id == primary.id) return own("id", shadow.id);
  if (shadow.endpoint.port == primary.endpoint.port &&
      same_host(shadow.endpoint.host) == same_host(primary.endpoint.host))
    return own("address", shadow.endpoint.text());
  if (!shadow.data_dir.empty() && !primary.data_dir.empty() &&
      same_path(shadow.data_dir) == same_path(primary.data_dir))
    return own("data_dir", shadow.data_dir);
  if (!shadow.pid_file.empty() && !primary.pid_file.empty() &&
      same_path(shadow.pid_file) == same_path(primary.pid_file))
    return own("pid_file", shadow.pid_file);
  return {};
}

}  // namespace

Result<Instance> instance_from(const json& object, const Instance& primary) {
  if (!object.is_object()) return wrong(std::string("a JSON object was expected, not ") + object.type_name());
  static constexpr const char* known[] = {"id", "address", "data_dir", "pid_file", "failure_domains", "attributes"};
  for (const auto& [name, value] : object.items())
    if (std::ranges::find(known, name) == std::end(known))
      return wrong("unknown field '" + name.substr(0, 64) +
                   "'; known are id, address, data_dir, pid_file, failure_domains, attributes");
  Instance instance;
  FS_TRY(id, text_field(object, "id", true));
  if (!plain(id)) return wrong("'id' must be letters, digits, '-', '_' and '.', not '" + id.substr(0, 64) + "'");
  instance.id = std::move(id);
  FS_TRY(address, text_field(object, "address", true));
  FS_TRY(endpoint, parse_address(address));
  instance.endpoint = std::move(endpoint);
  FS_TRY(data_dir, path_field(object, "data_dir"));
  instance.data_dir = std::move(data_dir);
  FS_TRY(pid_file, path_field(object, "pid_file"));
  instance.pid_file = std::move(pid_file);
  if (const auto domains = object.find("failure_domains"); domains != object.end()) {
    if (!domains->is_array() || domains->size() > 64) return wrong("'failure_domains' must be a list of texts");
    for (const auto& domain : *domains) {
      if (!domain.is_string() || domain.get_ref<const std::string&>().empty() ||
          !printable(domain.get_ref<const std::string&>()))
        return wrong("'failure_domains' must be a list of texts");
      instance.failure_domains.push_back(domain.get<std::string>());
    }
  }
  if (const auto attributes = object.find("attributes"); attributes != object.end()) {
    if (!attributes->is_object() || attributes->size() > 64) return wrong("'attributes' must be an object of texts");
    for (const auto& [name, value] : attributes->items()) {
      if (!plain(name) || !value.is_string() || !printable(value.get_ref<const std::string&>()))
        return wrong("'attributes." + name.substr(0, 64) + "' must be a text");
      instance.attributes[name] = value.get<std::string>();
    }
  }
  FS_CHECK(check_differs(instance, primary));
  return instance;
}

Result<Instance> parse_instance(std::string_view text, const Instance& primary) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return wrong("nothing was printed on standard output; print the instance as one JSON object");
  if (text.size() > kTextMax)
    return wrong("standard output has " + std::to_string(text.size()) + " bytes; an instance fits into " +
                 std::to_string(kTextMax));
  FS_TRY(object, parse_once(text));
  return instance_from(object, primary);
}

json instance_object(const Instance& instance) {
  const bool v6 = instance.endpoint.host.find(':') != std::string::npos;
  json object{{"id", instance.id},
              {"address", (v6 ? "[" + instance.endpoint.host + "]" : instance.endpoint.host) + ":" +
                              std::to_string(instance.endpoint.port)}};
  if (!instance.data_dir.empty()) object["data_dir"] = instance.data_dir;
  if (!instance.pid_file.empty()) object["pid_file"] = instance.pid_file;
  if (!instance.failure_domains.empty()) object["failure_domains"] = instance.failure_domains;
  if (!instance.attributes.empty()) object["attributes"] = instance.attributes;
  return object;
}

}  // namespace foreshadow::act
