# llhttp, the parser of Node.js, and its tests, which tests/kinds/http/llhttp holds our codec against. Sourced by
# ./dev test, after tools/venv.sh.
#
# Both come from PyPI, once, each compared with the sum in tools/llhttp: llhttp compiled, in the package httptools; its
# tests, in the source archive of aiohttp, of which nothing else is used. They are read where they lie, and no part of
# this repository.

readonly LLHTTP=$ROOT/.cache/tools/llhttp

# Exports FORESHADOW_LLHTTP, a directory with test/ and venv/.
need_llhttp() {
  if [[ ! -f $LLHTTP/complete || tools/llhttp/requirements.txt -nt $LLHTTP/complete ||
    tools/llhttp/archive.txt -nt $LLHTTP/complete ]]; then
    need_packages python3-venv ca-certificates
    step "llhttp" fetch_llhttp || {
      say "llhttp could not be fetched (does the network reach PyPI?); set FORESHADOW_LLHTTP to a copy of another's $LLHTTP"
      return 1
    }
  fi
  export FORESHADOW_LLHTTP=$LLHTTP
}

fetch_llhttp() {
  make_venv llhttp "$LLHTTP" || return
  # Without isolation pip asks the archive for its name with what is installed, and fetches nothing more for that.
  "$LLHTTP/venv/bin/pip" --no-input --disable-pip-version-check download --require-hashes --no-deps --no-binary :all: \
    --no-build-isolation -d "$LLHTTP" -r tools/llhttp/archive.txt || return
  tar -xzf "$LLHTTP"/aiohttp-*.tar.gz -C "$LLHTTP" --strip-components 3 --wildcards \
    '*/vendor/llhttp/test/request/*.md' '*/vendor/llhttp/test/response/*.md' '*/vendor/llhttp/LICENSE' || return
  rm "$LLHTTP"/aiohttp-*.tar.gz || return
  touch "$LLHTTP/complete"
}
