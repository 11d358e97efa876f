#!/usr/bin/env bash
# [NAME] [SECONDS] run one fuzzer, or all of them in turn (60 s each); crashes land in build/fuzz/artifacts
name=${1:-all} seconds=${2:-60}
[[ $seconds =~ ^[0-9]+$ ]] || die "SECONDS is a whole number, not \"$seconds\""
known=$(sed -n 's/^ *foreshadow_fuzzer(\([a-z0-9_]*\).*/\1/p' fuzz/CMakeLists.txt)
[[ -n $known ]] || die "fuzz/CMakeLists.txt lists no fuzzer"
if [[ $name == all ]]; then
  names=$known
elif grep -qx -- "$name" <<<"$known"; then
  names=$name
else
  die "no fuzzer \"$name\"; there are: ${known//$'\n'/ }"
fi
# shellcheck disable=SC2086
need_packages $PACKAGES_TEST
# shellcheck disable=SC2086,SC2001
build fuzz $(sed 's/$/_fuzz/' <<<"$names")
sanitizer_environment
failed=0
for one in $names; do
  # New inputs go to the build directory: the committed corpus grows only by hand.
  found=build/fuzz/corpus/$one seeds=fuzz/corpus/$one
  mkdir -p "$found" build/fuzz/artifacts
  [[ -d $seeds ]] || seeds=
  # shellcheck disable=SC2086
  step "fuzz-$one" "build/fuzz/fuzz/${one}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="build/fuzz/artifacts/$one-" "$found" $seeds || failed=1
done
exit "$failed"
