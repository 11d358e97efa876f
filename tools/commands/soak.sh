#!/usr/bin/env bash
# [--minutes N] [ARGS] half an hour (or N minutes) of clients of every manner, handovers and mishaps; memory must stay flat; --help
# shellcheck disable=SC2086
need_packages $PACKAGES_RUN $PACKAGES_SOAK
build release foreshadow
cd "$CALLED_FROM"
exec python3 -B "$ROOT/tests/soak/main.py" "$@"
