#include "app/record.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "app/wall_clock.hpp"
#include "decide/state_json.hpp"
#include "decide/step.hpp"

namespace foreshadow::app {

Result<StateAt> state_at(journal::Reader& reader, std::uint64_t seq) {
  StateAt out;
  FS_TRY(image, reader.image_before(seq));
  if (image) {
    FS_TRY(state, decide::decode_state(image->image));
    out = {std::move(state), image->seq, image->at, ""};
  }
  std::string undecodable;
  const auto read = reader.for_each({.after_seq = out.seq}, [&](const journal::Record& record) {
    if (record.seq > seq) return false;
    if (record.type == journal::Record::Type::event) {
      const auto event = decode<Event>(std::string_view(record.body));
      if (!event) {
        undecodable = fmt::format("record {}: {}", record.seq, event.error().what);
        return false;
      }
      out.state = decide::step(std::move(out.state), *event).state;
    }
    out.seq = record.seq;
    out.at = record.at;
    return true;
  });
  if (!read && read.error().code != Code::corrupt) return tl::make_unexpected(read.error());
  out.damage = read ? undecodable : read.error().what;
  return out;
}

Time wall_now() { return WallClock().now(); }

std::string clock_text(Time at) {
  const auto ms = to_ms(at);
  return fmt::format("{:%H:%M:%S}.{:03}", fmt::gmtime(static_cast<std::time_t>(ms / 1000)), ms % 1000);
}

std::string day_clock_text(Time at) {
  return fmt::format("{:%Y-%m-%d} {}", fmt::gmtime(static_cast<std::time_t>(to_ms(at) / 1000)), clock_text(at));
}

}  // namespace foreshadow::app
