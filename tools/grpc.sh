# gRPC as its own project ships it for Python, which tests/kinds/http/grpc sends through the gateway. Sourced by ./dev
# test. It comes from PyPI, once, compared with the sums in tools/grpc.

readonly GRPC=$ROOT/.cache/tools/grpc

# Exports FORESHADOW_GRPC, a directory with venv/.
need_grpc() {
  if [[ ! -f $GRPC/complete || tools/grpc/requirements.txt -nt $GRPC/complete ]]; then
    need_packages python3-venv ca-certificates
    step "grpc" fetch_grpc || {
      say "gRPC could not be fetched (does the network reach PyPI?); set FORESHADOW_GRPC to a copy of another's $GRPC"
      return 1
    }
  fi
  export FORESHADOW_GRPC=$GRPC
}

fetch_grpc() {
  set -e
  rm -rf "$GRPC"
  mkdir -p "$GRPC"
  python3 -m venv "$GRPC/venv"
  "$GRPC/venv/bin/pip" --no-input --disable-pip-version-check install --require-hashes --no-deps --only-binary :all: \
    -r tools/grpc/requirements.txt
  touch "$GRPC/complete"
}
