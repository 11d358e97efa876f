#include "kinds/http/compare/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>

#include "kinds/http/compare/inflate.hpp"
#include "kinds/http/wire/head.hpp"
#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

constexpr std::size_t kShownMax = 80;
// Names of JSON fields are shorter already; a header's can be as long as all of a head.
constexpr std::size_t kFieldBytesMax = 512;
// Whoever read these heads has had limits already.
constexpr Limits kNoLimits{.head_bytes_max = SIZE_MAX, .target_bytes_max = SIZE_MAX, .fields_max = SIZE_MAX};

// Of a header that is there without a value, unlike one that is not there.
constexpr std::string_view kEmpty = " ";

enum class Show { all, as_target, nothing };

class Differ {
 public:
  Differ(const CompareSettings& settings, Comparison& out) : settings_(settings), out_(out) {}

  // A text that is empty is shown as absent.
  void differ(const std::string& field, std::string_view one, std::string_view other, Show show = Show::all) {
    if (settings_.ignored.has(field) || differing_.size() >= settings_.differences_max) return;
    if (differing_.insert(field).second) out_.differences.push_back({field, shown(one, show), shown(other, show)});
  }

 private:
  static std::string shown(std::string_view text, Show show) {
    if (text.empty()) return "(absent)";
    if (show == Show::nothing) return std::string(kRedacted);
    return showable(show == Show::as_target ? without_values(text) : std::string(text), kShownMax);
  }
  const CompareSettings& settings_;
  Comparison& out_;
  std::set<std::string> differing_;
};

// The parser wants a head to its end; one that was cut is none.
Parsed<ResponseHead> read_head(const std::string& head) {
  if (!head.ends_with("\r\n\r\n")) return tl::make_unexpected(Refusal{502, "a head without its end"});
  return parse_response_head(head, kNoLimits);
}

// Name to values, those of one name joined in their order; of cookies the names alone.
std::map<std::string, std::string> headers(const ResponseHead& head) {
  std::map<std::string, std::string> map;
  std::set<std::string, std::less<>> cookies;
  for (const auto& field : head.fields) {
    std::string name(field.name);
    std::ranges::transform(name, name.begin(), lower);
    name.resize(std::min(name.size(), kFieldBytesMax));
    if (name == "set-cookie") {
      const auto cookie = trim(field.value.substr(0, field.value.find_first_of("=;")));
      cookies.emplace(cookie.empty() ? kEmpty : cookie);
      continue;
    }
    auto& values = map["header." + name];
    if (!values.empty()) values += ", ";
    values += field.value;
    if (values.empty()) values = kEmpty;
  }
  for (const auto& cookie : cookies) {
    auto& names = map["header.set-cookie"];
    names += (names.empty() ? "" : ", ") + cookie;
  }
  return map;
}

Show how_to_show(const std::string& field, const Secrets& secrets) {
  if (field == "header.set-cookie") return Show::all;  // names only
  if (field == "header.location" || field == "header.content-location") return Show::as_target;
  return secrets.named_by(field) ? Show::nothing : Show::all;
}

void compare_headers(const ResponseHead& one, const ResponseHead& other, const Secrets& secrets, Differ& differ) {
  const auto ours = headers(one), theirs = headers(other);
  for (const auto& [name, value] : ours) {
    const auto found = theirs.find(name);
    const std::string_view their_value = found == theirs.end() ? std::string_view{} : found->second;
    if (their_value != value) differ.differ(name, value, their_value, how_to_show(name, secrets));
  }
  for (const auto& [name, value] : theirs)
    if (!ours.contains(name)) differ.differ(name, "", value, how_to_show(name, secrets));
}

std::string_view value_of(const ResponseHead& head, std::string_view name) {
  const auto* field = find_field(head.fields, name);
  return field ? field->value : std::string_view{};
}

// RFC 6839: a suffix says so too.
bool is_json(const ResponseHead& head) {
  auto type = value_of(head, "content-type");
  type = trim(type.substr(0, type.find(';')));
  return equals_lower(type, "application/json") || equals_lower(type, "text/json") ||
         (type.size() > 5 && equals_lower(type.substr(type.size() - 5), "+json"));
}

void compare_json(const std::vector<JsonLeaf>& ours, const std::vector<JsonLeaf>& theirs, Differ& differ) {
  const auto show = [](bool secret) { return secret ? Show::nothing : Show::all; };
  auto one = ours.begin();
  auto other = theirs.begin();
  while (one != ours.end() || other != theirs.end()) {
    if (other == theirs.end() || (one != ours.end() && one->at < other->at)) {
      differ.differ(one->field, one->value, "", show(one->secret));
      ++one;
    } else if (one == ours.end() || other->at < one->at) {
      differ.differ(other->field, "", other->value, show(other->secret));
      ++other;
    } else {
      if (one->value != other->value)
        differ.differ(one->field, one->value, other->value, show(one->secret || other->secret));
      ++one;
      ++other;
    }
  }
}

// What remains of a body that is not read.
struct Outline {
  std::uint64_t length = 0;
  std::uint64_t digest = 0;
  bool beyond = false;
  friend bool operator==(const Outline&, const Outline&) = default;
};
Outline outline(std::string_view body) {
  Digest digest;
  digest.add(body);
  return {body.size(), digest.value(), false};
}
Outline outline(const AnswerCopy& copy) {
  return copy.whole ? outline(copy.body) : Outline{copy.length, copy.digest.value(), copy.beyond};
}
// False: they differ.
bool compare_outlines(const Outline& one, const Outline& other, Differ& differ) {
  if (one == other) return true;
  const auto shown = [](const Outline& body) {
    return fmt::format("{} bytes{}, digest {:016x}", body.length, body.beyond ? " and more" : "", body.digest);
  };
  differ.differ("body", shown(one), shown(other));
  return false;
}

Comparison::Body compare_bodies(const AnswerCopy& one, const ResponseHead& ours, const AnswerCopy& other,
                                const ResponseHead& theirs, const CompareSettings& settings, Differ& differ) {
  const auto our_coding = value_of(ours, "content-encoding"), their_coding = value_of(theirs, "content-encoding");
  const bool one_coding = equals_ignoring_case(our_coding, their_coding);
  if (!one.whole || !other.whole) {
    if (!one_coding) return Comparison::Body::too_large;
    const auto a = outline(one), b = outline(other);
    return compare_outlines(a, b, differ) && a.beyond ? Comparison::Body::too_large : Comparison::Body::compared;
  }
  if (one_coding && one.body == other.body) return Comparison::Body::compared;
  const auto our_body = decode_content(our_coding, one.body, settings.decoded_bytes_max);
  const auto their_body = decode_content(their_coding, other.body, settings.decoded_bytes_max);
  if (!our_body || !their_body) {
    compare_outlines(outline(one.body), outline(other.body), differ);
    return Comparison::Body::encoded;
  }
  if (is_json(ours) && is_json(theirs)) {
    const auto our_leaves = json_leaves(*our_body, settings.secrets, settings.json);
    const auto their_leaves = our_leaves ? json_leaves(*their_body, settings.secrets, settings.json) : std::nullopt;
    if (their_leaves) {
      compare_json(*our_leaves, *their_leaves, differ);
      return Comparison::Body::compared;
    }
  }
  compare_outlines(outline(*our_body), outline(*their_body), differ);
  return Comparison::Body::compared;
}

}  // namespace

// What no two answers share, or what says how rather than what: framing, coding (bodies are compared decoded), an
// instance's own marks for caches, names of requests and of servers.
IgnoredFields::IgnoredFields() {
  for (const auto* name : {"age",
                           "connection",
                           "content-encoding",
                           "content-length",
                           "date",
                           "etag",
                           "expires",
                           "keep-alive",
                           "last-modified",
                           "proxy-connection",
                           "server",
                           "server-timing",
                           "te",
                           "trailer",
                           "traceparent",
                           "upgrade",
                           "transfer-encoding",
                           "vary",
                           "via",
                           "x-correlation-id",
                           "x-request-id",
                           "x-response-time",
                           "x-runtime"})
    exact_.insert(std::string("header.") + name);
}

Result<void> IgnoredFields::add(std::string field) {
  const bool compared = field.starts_with('!');
  if (compared) field.erase(0, 1);
  if (!field.starts_with("header.") && field != "body" && !field.starts_with("body.") && !field.starts_with("body["))
    return fail(Code::invalid, "must list fields such as header.etag, body.items[].seen_at or body.meta.*");
  if (field.starts_with("header.")) std::ranges::transform(field, field.begin(), lower);
  if (compared) {
    if (exact_.erase(field) == 0)
      return fail(Code::invalid, fmt::format("lists !{}, which is not among what is ignored by default", field));
  } else if (field.ends_with(".*")) {
    field.pop_back();
    prefixes_.push_back(std::move(field));
  } else {
    exact_.insert(std::move(field));
  }
  return {};
}

bool IgnoredFields::has(std::string_view field) const {
  return exact_.contains(field) ||
         std::ranges::any_of(prefixes_, [&](const std::string& prefix) { return field.starts_with(prefix); });
}

Comparison compare(const AnswerCopy& one, const AnswerCopy& other, const CompareSettings& settings) {
  Comparison out;
  Differ differ(settings, out);
  const auto ours = read_head(one.head);
  const auto theirs = read_head(other.head);
  const int our_status = ours ? ours->status : 0;
  const int their_status = theirs ? theirs->status : 0;
  if (our_status != their_status)
    differ.differ("status", fmt::format("{}", our_status), fmt::format("{}", their_status));
  out.classes_differ = our_status / 100 != their_status / 100 || !ours || !theirs;
  if (out.classes_differ) return out;
  compare_headers(*ours, *theirs, settings.secrets, differ);
  out.body = compare_bodies(one, *ours, other, *theirs, settings, differ);
  return out;
}

}  // namespace foreshadow::kinds::http
