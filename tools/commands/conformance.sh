#!/usr/bin/env bash
# postgres [SUITE...] [--handovers SECONDS] run others' test suites through the gateway, and compare with a run without it; --help
what=${1:-}
[[ $what == postgres ]] || die "conformance of what? There is: postgres"
shift
# shellcheck disable=SC2086
need_packages $PACKAGES_RUN $PACKAGES_CONFORMANCE_POSTGRES
build release foreshadow
cd "$CALLED_FROM"
exec python3 -B "$ROOT/tools/conformance/postgres/main.py" "$@"
