#!/usr/bin/env bash
# ARGS run the built binary: ./dev run status --watch
[[ -x $FORESHADOW ]] || {
  # shellcheck disable=SC2086
  need_packages $PACKAGES_RUN
  build release foreshadow
}
cd "$CALLED_FROM"
exec "$FORESHADOW" "$@"
