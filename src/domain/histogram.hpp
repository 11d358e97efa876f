// Latencies as counts per bucket: 64 buckets an octave, so any quantile is exact to 1/64 (1.6 %), and exact to the
// microsecond below 128. Log-linear as in HdrHistogram (Tene), of bounded memory (12 KB); merges by addition, and a
// later snapshot minus an earlier one is the interval.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace foreshadow {

class Histogram {
 public:
  static constexpr int bits = 6;
  static constexpr int per_octave = 1 << bits;
  static constexpr int buckets = per_octave * (28 - bits + 1);  // to about 4.5 minutes; slower lands in the last one

  static constexpr int bucket_of(std::uint64_t us) {
    if (us < per_octave) return static_cast<int>(us);
    const int shift = std::bit_width(us) - 1 - bits;
    if (shift > 28 - bits - 1) return buckets - 1;
    return (shift + 1) * per_octave + static_cast<int>((us >> shift) & (per_octave - 1));
  }
  // Upper edge in microseconds.
  static constexpr double upper_us(int bucket) {
    if (bucket < per_octave) return bucket + 1;
    const int shift = bucket / per_octave - 1;
    return static_cast<double>((static_cast<std::uint64_t>(per_octave) + static_cast<unsigned>(bucket % per_octave) + 1)
                               << shift);
  }

  void record(std::uint64_t us) { ++counts_[static_cast<std::size_t>(bucket_of(us))]; }
  void add(int bucket, std::uint64_t count) { counts_[static_cast<std::size_t>(bucket)] += count; }
  std::uint64_t at(int bucket) const { return counts_[static_cast<std::size_t>(bucket)]; }
  void merge(const Histogram& o) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += o.counts_[i];
  }
  // What came since `earlier`; a counter that went back (a new gateway incarnation) counts from zero.
  Histogram since(const Histogram& earlier) const {
    Histogram d;
    for (std::size_t i = 0; i < counts_.size(); ++i)
      d.counts_[i] = counts_[i] >= earlier.counts_[i] ? counts_[i] - earlier.counts_[i] : counts_[i];
    return d;
  }
  std::uint64_t total() const {
    std::uint64_t n = 0;
    for (auto c : counts_) n += c;
    return n;
  }
  std::uint64_t above_us(double us) const {
    std::uint64_t n = 0;
    for (int b = 0; b < buckets; ++b)
      if (upper_us(b) > us) n += at(b);
    return n;
  }
  // Upper edge of the bucket that holds quantile q, in microseconds; 0 when empty.
  double quantile_us(double q) const {
    const auto n = total();
    if (n == 0) return 0;
    const double rank = q * static_cast<double>(n);
    double seen = 0;
    for (int b = 0; b < buckets; ++b) {
      seen += static_cast<double>(at(b));
      if (seen >= rank && at(b) > 0) return upper_us(b);
    }
    return upper_us(buckets - 1);
  }
  friend bool operator==(const Histogram&, const Histogram&) = default;

 private:
  std::array<std::uint64_t, buckets> counts_{};
};

}  // namespace foreshadow
