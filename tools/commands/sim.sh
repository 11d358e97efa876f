#!/usr/bin/env bash
# [ARGS] the simulator, optimised build: ./dev sim --seeds 1..10000
# shellcheck disable=SC2086
need_packages $PACKAGES_RUN
build release foreshadow
(($#)) || set -- --seeds 1..1000
cd "$CALLED_FROM"
exec "$FORESHADOW" sim "$@"
