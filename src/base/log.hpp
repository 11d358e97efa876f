// What a process says about itself: one line an event on stderr, levels trace..error, never a secret.
// Thread-safe. The journal, not the log, is the record of what was decided.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace foreshadow::log {

enum class Level { trace, debug, info, warn, error };

// `role` names the process in every line. Call once, before threads start.
void init(std::string_view role, Level level);
void write(Level level, std::string_view text);
bool enabled(Level level);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warn)) write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace foreshadow::log
