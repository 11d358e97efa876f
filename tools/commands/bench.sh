#!/usr/bin/env bash
# [NAME] run one benchmark, or all of them in turn (optimised build)
known=$(find bench -name '*_bench.cpp' -printf '%f\n' 2>/dev/null | sed 's/_bench\.cpp$//' | sort)
[[ -n $known ]] || die "there is no benchmark yet; one is a file bench/NAME_bench.cpp"
names=${1:-$known}
grep -qx -- "$names" <<<"$known" || [[ $names == "$known" ]] || die "no benchmark \"$names\"; there are: ${known//$'\n'/ }"
# shellcheck disable=SC2086
need_packages $PACKAGES_RUN
# shellcheck disable=SC2086,SC2001
build release $(sed 's/$/_bench/' <<<"$names")
for one in $names; do
  "build/release/bench/${one}_bench"
done
