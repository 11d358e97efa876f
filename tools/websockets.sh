# The package `websockets`, with which tests/kinds/http/clients talks through the gateway. Sourced by ./dev test. It comes
# from PyPI, once, compared with the sum in tools/websockets.

readonly WEBSOCKETS=$ROOT/.cache/tools/websockets

# Exports FORESHADOW_WEBSOCKETS, a directory with venv/.
need_websockets() {
  if [[ ! -f $WEBSOCKETS/complete || tools/websockets/requirements.txt -nt $WEBSOCKETS/complete ]]; then
    need_packages python3-venv ca-certificates
    step "websockets" fetch_websockets || {
      say "websockets could not be fetched (does the network reach PyPI?); set FORESHADOW_WEBSOCKETS to a copy of another's $WEBSOCKETS"
      return 1
    }
  fi
  export FORESHADOW_WEBSOCKETS=$WEBSOCKETS
}

fetch_websockets() {
  set -e
  rm -rf "$WEBSOCKETS"
  mkdir -p "$WEBSOCKETS"
  python3 -m venv "$WEBSOCKETS/venv"
  "$WEBSOCKETS/venv/bin/pip" --no-input --disable-pip-version-check install --require-hashes --no-deps --only-binary :all: \
    -r tools/websockets/requirements.txt
  touch "$WEBSOCKETS/complete"
}
