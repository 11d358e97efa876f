#!/usr/bin/env bash
# [ARGS] install, build and play both scenes, each once without Foreshadow and once with it; --help for its arguments
# shellcheck disable=SC2086
need_packages $PACKAGES_RUN
build release foreshadow examples/all
cd "$CALLED_FROM"
exec python3 "$ROOT/examples/demo/demo.py" "$@"
