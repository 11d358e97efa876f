// What was learned by comparing the answers of primary and shadow: how often each field differed, which of them are
// noise, and some samples to look at. Everything in it is bounded. Pure.
//
// Noise is what differs between two answers of the *shadow* to the same request: a time, a request's id, the order of a
// set. Rates forget: of differences over some thousand pairs, of noise over some hundred. The class of a status is
// never noise.
#pragma once

#include <deque>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "domain/histogram.hpp"
#include "domain/resource.hpp"
#include "kinds/http/compare/compare.hpp"
#include "kinds/http/compare/noise.hpp"

namespace foreshadow::kinds::http {

struct BookSettings {
  NoiseRule rule;
  std::size_t fields_max = 256;  // of one segment; then the one that differed longest ago makes room
  std::size_t samples_max = 32;
  double raw_window = 1000;  // pairs
  double noise_window = 300;
};

// Not thread-safe.
class DifferenceBook {
 public:
  enum class Skipped {
    no_answer,  // the primary failed, or the shadow did
    busy,       // comparing had used up its time, or too much waited
  };
  // `segments`: their names in the gateway's order; one past the last stands for requests of none.
  explicit DifferenceBook(const std::vector<SegmentId>& segments, BookSettings settings = {});

  // Two answers of the shadow, compared.
  void learn(std::size_t segment, const Comparison& twice);
  // An answer of the primary with one of the shadow. True: they differ beyond noise. `request`: its method and target,
  // without secrets.
  bool judge(std::size_t segment, const std::string& request, const Comparison& pair);
  void took(std::size_t segment, std::chrono::microseconds primary, std::chrono::microseconds shadow);
  void skip(std::size_t segment, Skipped why);

  // docs/comparison.md has the fields. Below 2 MiB, whatever there is.
  nlohmann::json to_json() const;

 private:
  struct Field {
    std::uint64_t differed = 0;  // between primary and shadow
    std::uint64_t noisy = 0;     // between two answers of the shadow
    std::uint64_t used = 0;      // when it differed last, in either
    RecentShare raw, noise;
  };
  struct Segment {
    SegmentId name;
    std::uint64_t compared = 0, equal = 0, only_noise = 0, differing = 0;
    std::uint64_t too_large = 0, encoded = 0;  // of those compared
    std::uint64_t no_answer = 0, busy = 0;
    std::uint64_t noise_pairs = 0;
    std::uint64_t forgotten = 0;  // fields that had to make room
    std::map<std::string, Field> fields;
    Histogram primary, shadow;
  };
  struct Sample {
    std::size_t segment = 0;
    std::string request;
    std::vector<Difference> differences;
  };
  Field& field(Segment& segment, const std::string& name);
  double raw_rate(const Segment& segment, const Field& field) const;
  double noise_rate(const Segment& segment, const Field& field) const;
  // At most `fields_left` fields, which is counted down.
  nlohmann::json to_json(const Segment& segment, std::size_t& fields_left) const;

  BookSettings settings_;
  std::vector<Segment> segments_;
  std::uint64_t uses_ = 0;
  std::deque<Sample> samples_;  // newest last
};

}  // namespace foreshadow::kinds::http
