// How much of the past a journal keeps, and which State images. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "base/time.hpp"

namespace foreshadow::journal {

struct Retention {
  // Records younger than `age` are kept, up to about `records_max` of them (the cut is at a State image).
  Millis age = std::chrono::hours{24 * 30};
  std::uint64_t records_max = 500'000;
};

struct ImageMark {
  std::uint64_t seq = 0;
  Time at;
};

// The seq from which everything is kept: always that of an image, so that what remains can be replayed from its
// beginning, and never past the newest. Nothing: keep all. `images` in order, oldest first.
std::optional<std::uint64_t> keep_from(const Retention& retention, std::span<const ImageMark> images,
                                       std::uint64_t last_seq, Time now);

// An image that may go because its neighbours are close: images cost much more than records. The first and the newest
// two stay. Called after each new image, it keeps about 16 of them.
std::optional<std::uint64_t> thin_out(const Retention& retention, std::span<const ImageMark> images);

}  // namespace foreshadow::journal
