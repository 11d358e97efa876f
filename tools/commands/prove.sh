#!/usr/bin/env bash
# [COMMAND...] run ./dev COMMAND (default: demo) of the last commit in a bare Debian 12 root, as a new user would
((EUID == 0)) || die "a bare root needs root; run: sudo ./dev prove"
need_packages debootstrap git util-linux
exec tools/prove-bare-root.sh "$@"
