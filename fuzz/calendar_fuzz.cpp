// Any bytes as a calendar: events in order, or an error that names the file.
#include <cstdint>
#include <string_view>

#include "base/assert.hpp"
#include "observe/calendar.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace foreshadow;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto calendar = observe::parse_calendar(text, "f.yaml");
  if (!calendar) {
    FS_ASSERT(calendar.error().code == Code::invalid && calendar.error().what.starts_with("f.yaml"));
  } else {
    for (const auto& rule : calendar->rules()) FS_ASSERT(!rule.name.empty() && rule.starts < rule.ends);
    const auto from = time_from_ms(1'772'000'000'000), to = from + std::chrono::days{30};
    const auto entries = calendar->entries(from, to);
    FS_ASSERT(entries.size() <= 1000);
    for (const auto& entry : entries) FS_ASSERT(entry.starts < to && entry.ends > from);
  }
  if (const auto time = observe::parse_rfc3339(text)) FS_ASSERT(to_ms(*time) > -100'000'000);
  return 0;
}
