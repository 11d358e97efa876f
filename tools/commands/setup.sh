#!/usr/bin/env bash
# install what building and testing need (Debian 12 packages; asks for root only when one is missing)
# shellcheck disable=SC2086
need_packages $PACKAGES_TEST
say "setup: every package is here"
