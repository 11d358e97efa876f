// One line a journal record, for people; and the collapse of repetitions. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "app/terminal.hpp"
#include "journal/journal.hpp"

namespace foreshadow::app {

// {"seq","at_ms","type","resource","name","body"}; a body that is not JSON stands as text.
nlohmann::json event_json(const journal::Record& record);

// What happened, without time and resource: "effect_done #5 failed: timeout ...". Never throws.
std::string event_summary(const journal::Record& record);
// An effect that failed, a damaged instance, a refuted or late outcome.
bool is_failure(const journal::Record& record);
// Comes with every scrape; shown only when asked for.
bool is_routine(const journal::Record& record);

// Prints a line per record; a record that says the same as the one before, of the same resource, only raises a count,
// told with the next different one.
class EventPrinter {
 public:
  explicit EventPrinter(const Terminal& terminal) : terminal_(terminal) {}
  // Lines to print now, often one, none for a repetition.
  std::string take(const journal::Record& record);
  // The count still owed.
  std::string flush();

 private:
  const Terminal& terminal_;
  std::string last_;
  int repeated_ = 0;
};

}  // namespace foreshadow::app
