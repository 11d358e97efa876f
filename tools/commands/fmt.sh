#!/usr/bin/env bash
# format the C++ sources in place (clang-format-19)
# shellcheck disable=SC2086
need_packages clang-format-19
find src tests examples fuzz bench \( -name '*.cpp' -o -name '*.hpp' \) -print0 2>/dev/null |
  xargs -0 -n 40 -P "$CORES" clang-format-19 -i
