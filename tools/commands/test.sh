#!/usr/bin/env bash
# [FILTER] everything: unit, integration and house tests, 10,000 simulated worlds, both scenes shortened; or matching ctest names only
filter=${1:-}
began=$(now_ms)
report=build/report
failures=()
# A failure is noted and the run goes on: one run reports everything that is wrong.
attempt() {
  local name=$1
  shift
  "$@" || failures+=("$name")
}

# shellcheck disable=SC2086
need_packages $PACKAGES_TEST
sanitizer_environment
source tools/terraform.sh
attempt terraform need_terraform
source tools/h2spec.sh
[[ -n ${FORESHADOW_H2SPEC:-} ]] || attempt h2spec need_h2spec
source tools/venv.sh
source tools/llhttp.sh
[[ -n ${FORESHADOW_LLHTTP:-} ]] || attempt llhttp need_llhttp
attempt grpc need_venv grpc FORESHADOW_GRPC
attempt websockets need_venv websockets FORESHADOW_WEBSOCKETS

attempt build-dev build dev -k 0
[[ -z $filter ]] && attempt build-release build release -k 0 foreshadow examples/all

rm -rf "$report" build/dev/report
mkdir -p "$report"
say "tests"
# Failing output is shown by ctest itself; the number of failures comes from its report, not from its exit code.
ctest --test-dir build/dev -j "$CORES" --output-on-failure --no-tests=error --output-junit "$ROOT/$report/ctest.xml" \
  ${filter:+-R "$filter"} || true

whole=()
if [[ -z $filter ]]; then
  attempt simulator step "simulator" "$FORESHADOW" sim --seeds 1..10000
  attempt scenes step "scenes" python3 examples/demo/demo.py --short --report "$report/scenes.json"
  attempt kills step "kills" python3 tests/integration/kills.py --build-dir build/release
  whole=(--scenes "$report/scenes.json" --step simulator --step kills)
fi

say "took $(as_seconds $(($(now_ms) - began)))"
exec python3 tools/count_tests.py --ctest "$report/ctest.xml" --gtest build/dev/report "${whole[@]}" \
  "${failures[@]/#/--failed=}"
