#!/usr/bin/env bash
# [PRESET] build everything: dev (default, ASan + UBSan), tsan, release, fuzz
# shellcheck disable=SC2086
need_packages $PACKAGES_TEST
build "${1:-dev}"
