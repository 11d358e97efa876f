#!/usr/bin/env bash
# [SCREENSHOT] a real browser through the gateway over HTTP/2 (installs Chromium; the other clients are in ./dev test)
# shellcheck disable=SC2086
need_packages $PACKAGES_RUN $PACKAGES_CLIENTS
source tools/venv.sh
need_venv websockets FORESHADOW_WEBSOCKETS
build release foreshadow
cd "$CALLED_FROM"
exec python3 -B "$ROOT/tests/kinds/http/clients/browser.py" "$FORESHADOW" "$@"
