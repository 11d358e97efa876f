// -o/--output: a table for people, JSON for machines. One JSON object, or one a line for streams.
#pragma once

#include <CLI/App.hpp>

namespace foreshadow::app {

enum class Output { table, json };
void add_output(CLI::App& command, Output& output);

}  // namespace foreshadow::app
