// Events and effects for journal tests, told apart by a number.
#pragma once

#include <string>

#include "domain/effect.hpp"
#include "domain/event.hpp"

namespace foreshadow::journal {

inline Event sample_event(int n, const ResourceId& resource = "shop") {
  return {time_from_ms(1'000'000 + n * 10), resource, Command{Verb::pause, "operator", "number " + std::to_string(n)}};
}
inline Effect sample_effect(int n) {
  Effect effect;
  effect.id = static_cast<EffectId>(n);
  effect.resource = "shop";
  effect.term = 1;
  effect.body = Page{"number " + std::to_string(n)};
  return effect;
}
// The number in a sample event; -1 for another.
inline int number_of(const Event& event) {
  const auto* command = std::get_if<Command>(&event.body);
  return command && command->reason.starts_with("number ") ? std::stoi(command->reason.substr(7)) : -1;
}

}  // namespace foreshadow::journal
