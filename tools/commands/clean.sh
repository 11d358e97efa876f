#!/usr/bin/env bash
# remove what these commands built (--all: the downloaded tools too)
rm -rf build/{dev,tsan,release,fuzz,log,report}
rmdir build 2>/dev/null || true
[[ ${1:-} == --all ]] && chmod -R u+w .cache 2>/dev/null && rm -rf .cache
true
