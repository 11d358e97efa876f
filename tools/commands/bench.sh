#!/usr/bin/env bash
# [NAME [ARGS]] run one benchmark (NAME --help for its arguments, if it takes any), or all in turn (optimised build)
# A benchmark NAME is the build target NAME_bench, and either one program, bench/NAME_bench.cpp, or a folder bench/NAME whose
# main.py is run. What only it needs is PACKAGES_BENCH_<NAME> in tools/lib.sh.
known=$(find bench -maxdepth 2 \( -path 'bench/*_bench.cpp' -o -path 'bench/*/main.py' \) -printf '%P\n' |
  sed 's/_bench\.cpp$//; s,/main\.py$,,' | sort)
names=${1:-$known}
(($#)) && shift
grep -qx -- "$names" <<<"$known" || [[ $names == "$known" ]] || die "no benchmark \"$names\"; there are: ${known//$'\n'/ }"
packages=$PACKAGES_RUN
for one in $names; do
  its_own=PACKAGES_BENCH_${one^^}
  packages+=" ${!its_own:-}"
done
# shellcheck disable=SC2086
need_packages $packages
# shellcheck disable=SC2086,SC2001
build release $(sed 's/$/_bench/' <<<"$names")
# File names among the arguments are the caller's.
cd "$CALLED_FROM"
for one in $names; do
  if [[ -f $ROOT/bench/$one/main.py ]]; then
    python3 -B "$ROOT/bench/$one/main.py" "$@"
  else
    "$ROOT/build/release/bench/${one}_bench" "$@"
  fi
done
