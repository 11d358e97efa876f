// Shell completions, made from the command line itself, so that they cannot know less than it does.
#pragma once

#include <CLI/App.hpp>
#include <string>

namespace foreshadow::app {

// The script to be sourced (bash, fish) or put in fpath as _foreshadow (zsh). Requires: shell is one of these.
std::string completion_script(const CLI::App& app, const std::string& shell);

}  // namespace foreshadow::app
