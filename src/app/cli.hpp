// The command line as a whole. docs/cli.md describes every command, with its exit codes.
#pragma once

#include <CLI/App.hpp>
#include <memory>

#include "app/commands.hpp"

namespace foreshadow::app {

// Parsing it leaves what is to be done in `job`, which must outlive it.
std::unique_ptr<CLI::App> make_cli(Job& job);
int run_command_line(int argc, const char* const* argv);

}  // namespace foreshadow::app
