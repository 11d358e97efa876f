#include "kinds/http/compare/book.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

namespace foreshadow::kinds::http {

using nlohmann::json;

namespace {

constexpr std::size_t kSampledDifferencesMax = 8;
constexpr std::size_t kFieldsToldMax = 1000;  // of all segments together

json quantiles(const Histogram& latency) {
  return {{"p50_ms", latency.quantile_us(0.5) / 1000}, {"p99_ms", latency.quantile_us(0.99) / 1000}};
}

void record(Histogram& latency, std::chrono::microseconds took) {
  latency.record(static_cast<std::uint64_t>(std::max<std::chrono::microseconds::rep>(0, took.count())));
}

}  // namespace

DifferenceBook::DifferenceBook(const std::vector<SegmentId>& segments, BookSettings settings) : settings_(settings) {
  for (const auto& name : segments) segments_.push_back({.name = name});
  segments_.push_back({.name = "(unmatched)"});
}

DifferenceBook::Field& DifferenceBook::field(Segment& segment, const std::string& name) {
  if (!segment.fields.contains(name) && segment.fields.size() >= std::max<std::size_t>(1, settings_.fields_max)) {
    const auto oldest = std::ranges::min_element(segment.fields, {}, [](const auto& f) { return f.second.used; });
    segment.fields.erase(oldest);
    ++segment.forgotten;
  }
  auto& found = segment.fields[name];
  found.used = ++uses_;
  return found;
}

double DifferenceBook::raw_rate(const Segment& segment, const Field& field) const {
  return field.raw.at(segment.compared, settings_.raw_window);
}
double DifferenceBook::noise_rate(const Segment& segment, const Field& field) const {
  return field.noise.at(segment.noise_pairs, settings_.noise_window);
}

void DifferenceBook::learn(std::size_t at, const Comparison& twice) {
  // A shadow that fails only now and then says nothing of its fields.
  if (twice.classes_differ) return;
  auto& segment = segments_.at(at);
  ++segment.noise_pairs;
  for (const auto& difference : twice.differences) {
    auto& known = field(segment, difference.field);
    ++known.noisy;
    known.noise.happened(segment.noise_pairs, settings_.noise_window);
  }
}

bool DifferenceBook::judge(std::size_t at, const std::string& request, const Comparison& pair) {
  auto& segment = segments_.at(at);
  ++segment.compared;
  if (pair.body == Comparison::Body::too_large) ++segment.too_large;
  if (pair.body == Comparison::Body::encoded) ++segment.encoded;
  std::vector<Difference> beyond;
  for (const auto& difference : pair.differences) {
    auto& known = field(segment, difference.field);
    ++known.differed;
    known.raw.happened(segment.compared, settings_.raw_window);
    if (pair.classes_differ || settings_.rule.beyond(raw_rate(segment, known), noise_rate(segment, known)))
      beyond.push_back(difference);
  }
  if (beyond.empty() && !pair.classes_differ) {
    ++(pair.differences.empty() ? segment.equal : segment.only_noise);
    return false;
  }
  ++segment.differing;
  if (settings_.samples_max == 0) return true;
  if (beyond.size() > kSampledDifferencesMax) beyond.resize(kSampledDifferencesMax);
  if (samples_.size() == settings_.samples_max) samples_.pop_front();
  samples_.push_back({at, request, std::move(beyond)});
  return true;
}

void DifferenceBook::took(std::size_t at, std::chrono::microseconds primary, std::chrono::microseconds shadow) {
  auto& segment = segments_.at(at);
  record(segment.primary, primary);
  record(segment.shadow, shadow);
}

void DifferenceBook::skip(std::size_t at, Skipped why) {
  auto& segment = segments_.at(at);
  ++(why == Skipped::busy ? segment.busy : segment.no_answer);
}

json DifferenceBook::to_json(const Segment& s, std::size_t& fields_left) const {
  std::vector<const std::pair<const std::string, Field>*> most;
  most.reserve(s.fields.size());
  for (const auto& known : s.fields) most.push_back(&known);
  std::ranges::sort(most, {},
                    [](const auto* f) { return std::tuple(~f->second.differed, std::string_view(f->first)); });
  json fields = json::array();
  const auto left_out = most.size() - std::min(most.size(), fields_left);
  most.resize(most.size() - left_out);
  fields_left -= most.size();
  for (const auto* known : most) {
    const auto& [name, f] = *known;
    const auto raw = raw_rate(s, f), noise = noise_rate(s, f);
    fields.push_back({{"field", name},
                      {"differed", f.differed},
                      {"noisy", f.noisy},
                      {"rate", raw},
                      {"noise_rate", noise},
                      {"differs", settings_.rule.beyond(raw, noise)}});
  }
  return {{"segment", s.name},
          {"compared", s.compared},
          {"equal", s.equal},
          {"only_noise", s.only_noise},
          {"differing", s.differing},
          {"bodies", {{"too_large", s.too_large}, {"not_decoded", s.encoded}}},
          {"skipped", {{"no_answer", s.no_answer}, {"busy", s.busy}}},
          {"noise_pairs", s.noise_pairs},
          {"latency", {{"primary", quantiles(s.primary)}, {"shadow", quantiles(s.shadow)}}},
          {"fields", std::move(fields)},
          {"fields_left_out", left_out},
          {"fields_forgotten", s.forgotten}};
}

json DifferenceBook::to_json() const {
  json segments = json::array(), samples = json::array();
  std::size_t fields_left = kFieldsToldMax;
  for (const auto& s : segments_) {
    const auto seen = s.compared + s.no_answer + s.busy + s.noise_pairs;
    if (seen != 0 || &s != &segments_.back()) segments.push_back(to_json(s, fields_left));
  }
  for (const auto& sample : samples_) {
    json differences = json::array();
    for (const auto& d : sample.differences)
      differences.push_back({{"field", d.field}, {"primary", d.one}, {"shadow", d.other}});
    samples.push_back({{"segment", segments_.at(sample.segment).name},
                       {"request", sample.request},
                       {"differences", std::move(differences)}});
  }
  return {{"segments", std::move(segments)}, {"samples", std::move(samples)}};
}

}  // namespace foreshadow::kinds::http
