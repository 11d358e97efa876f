#include "kinds/http/compare/json_leaves.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>

#include "kinds/http/sticky.hpp"
#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

using nlohmann::json;

constexpr std::size_t kKeyBytesMax = 64;
constexpr std::size_t kPathBytesMax = 512;

// A key that names one of many, such as a number, a UUID or a digest: its field is counted with those beside it.
bool is_id(std::string_view key) {
  if (!key.empty() && std::ranges::all_of(key, is_digit)) return true;
  const auto hex = [](char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f') || c == '-'; };
  return key.size() >= 16 && std::ranges::any_of(key, is_digit) && std::ranges::all_of(key, hex);
}

// As part of a path that people read. In quotes where it could be taken for several.
std::string shown_key(std::string_view key) {
  const bool plain = key.size() <= kKeyBytesMax && std::ranges::none_of(key, [](char c) {
                       return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '"';
                     });
  if (!plain) return fmt::format("#{:016x}", hash_of(key));
  return key.empty() || key.find_first_of(".[]*#") != key.npos ? fmt::format("\"{}\"", key) : std::string(key);
}

class Collector final : public nlohmann::json_sax<json> {
 public:
  Collector(const Secrets& secrets, const JsonLimits& limits, std::vector<JsonLeaf>& out)
      : secrets_(secrets), limits_(limits), out_(out) {}

  bool null() override { return leaf("null"); }
  bool boolean(bool value) override { return leaf(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { return leaf(fmt::format("{}", value)); }
  bool number_unsigned(number_unsigned_t value) override { return leaf(fmt::format("{}", value)); }
  bool number_float(number_float_t value, const string_t&) override {
    constexpr double kExact = 9007199254740992.0;  // 2^53: below it a double holds every integer
    if (std::abs(value) < kExact && value == std::trunc(value))
      return leaf(fmt::format("{}", static_cast<std::int64_t>(value)));
    return leaf(fmt::format("{}", value));
  }
  bool string(string_t& value) override { return leaf('"' + value + '"'); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(false); }
  bool start_array(std::size_t) override { return open(true); }
  bool end_object() override { return close("{}"); }
  bool end_array() override { return close("[]"); }
  bool key(string_t& key) override {
    auto& frame = frames_.back();
    ++frame.children;
    back_to(frame);
    at_.append(".").append(shown_key(key));
    field_.append(".").append(is_id(key) ? "*" : shown_key(key));
    secret_ = frame.secret || secrets_.named_by(key);
    return at_.size() <= kPathBytesMax;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override { return false; }

 private:
  struct Frame {
    bool array = false;
    std::size_t at_size = 0;  // of at_ and field_ with this container's own path in them
    std::size_t field_size = 0;
    bool secret = false;
    std::size_t children = 0;
  };
  void back_to(const Frame& frame) {
    at_.resize(frame.at_size);
    field_.resize(frame.field_size);
    secret_ = frame.secret;
  }
  bool enter() {
    if (frames_.empty() || !frames_.back().array) return true;
    auto& frame = frames_.back();
    back_to(frame);
    at_ += fmt::format("[{}]", frame.children++);
    field_ += "[]";
    return at_.size() <= kPathBytesMax;
  }
  bool leaf(std::string value) { return enter() && add(std::move(value)); }
  bool add(std::string value) {
    if (out_.size() >= limits_.leaves_max) return false;
    out_.push_back({at_, field_, std::move(value), secret_});
    return true;
  }
  bool open(bool array) {
    if (!enter() || frames_.size() >= limits_.depth_max) return false;
    frames_.push_back({array, at_.size(), field_.size(), secret_, 0});
    return true;
  }
  bool close(const char* empty) {
    const auto frame = frames_.back();
    frames_.pop_back();
    back_to(frame);
    return frame.children != 0 || add(empty);
  }

  const Secrets& secrets_;
  const JsonLimits limits_;
  std::vector<JsonLeaf>& out_;
  std::vector<Frame> frames_;
  std::string at_ = "body";
  std::string field_ = "body";
  bool secret_ = false;
};

}  // namespace

std::optional<std::vector<JsonLeaf>> json_leaves(std::string_view text, const Secrets& secrets,
                                                 const JsonLimits& limits) {
  std::vector<JsonLeaf> leaves;
  Collector collector(secrets, limits, leaves);
  if (!json::sax_parse(text.begin(), text.end(), &collector)) return std::nullopt;
  // A key that is there twice has both its values, in whatever order they came.
  std::ranges::sort(leaves, {}, [](const JsonLeaf& leaf) { return std::tie(leaf.at, leaf.value); });
  return leaves;
}

}  // namespace foreshadow::kinds::http
