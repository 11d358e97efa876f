// A signal's part in the score in words that a person can check against the graph.
#pragma once

#include <string>

#include "domain/outlook.hpp"
#include "domain/window.hpp"
#include "foresee/risk/assess.hpp"

namespace foreshadow::foresee {

// "resident memory 61.2 MiB rises 1.9 MiB/s; reaches 96 MiB in 18 s"
Reason explain(const Signal& signal, const SignalRisk& risk);

// A signal's name as words, unit and labels included only where they tell: "request p99 (orders)".
std::string spoken_name(const std::string& signal);
// A value in its signal's unit: bytes, seconds, ratios as percent.
std::string spoken_value(const std::string& signal, double value);

}  // namespace foreshadow::foresee
