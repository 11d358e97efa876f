#include "journal/retention.hpp"

#include <algorithm>

namespace foreshadow::journal {

std::optional<std::uint64_t> keep_from(const Retention& retention, std::span<const ImageMark> images,
                                       std::uint64_t last_seq, Time now) {
  std::optional<std::uint64_t> from;
  for (const auto& image : images)
    if (image.at <= now - retention.age || last_seq - image.seq >= retention.records_max) from = image.seq;
  return from;
}

std::optional<std::uint64_t> thin_out(const Retention& retention, std::span<const ImageMark> images) {
  if (images.size() < 4) return std::nullopt;
  const auto third = images.size() - 3;  // the newest that is neither one of the newest two nor the first
  const auto records = std::max<std::uint64_t>(1, retention.records_max / 16);
  const auto before = images[third - 1], after = images[third + 1];
  if (after.seq - before.seq < records && after.at - before.at < retention.age / 16) return images[third].seq;
  return std::nullopt;
}

}  // namespace foreshadow::journal
