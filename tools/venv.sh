# Python packages of others, which tests speak to and the project itself does not need. Sourced by ./dev's commands. They
# come from PyPI, once, each compared with the sum in tools/<name>/requirements.txt.

# need_venv NAME VARIABLE: exports VARIABLE, a directory whose venv/ has what tools/NAME/requirements.txt lists. A
# variable that is set already names another's copy, and nothing is fetched.
need_venv() {
  local name=$1 variable=$2 directory=$ROOT/.cache/tools/$1
  [[ -z ${!variable:-} ]] || return 0
  if [[ ! -f $directory/complete || tools/$name/requirements.txt -nt $directory/complete ]]; then
    need_packages python3-venv ca-certificates
    step "$name" fetch_venv "$name" "$directory" || {
      say "$name could not be fetched (does the network reach PyPI?); set $variable to a copy of another's $directory"
      return 1
    }
  fi
  export "$variable=$directory"
}

fetch_venv() { make_venv "$1" "$2" && touch "$2/complete"; }

# make_venv NAME DIRECTORY: anew; what was in the directory is gone.
make_venv() {
  rm -rf "$2" || return
  mkdir -p "$2" || return
  python3 -m venv "$2/venv" || return
  "$2/venv/bin/pip" --no-input --disable-pip-version-check install --require-hashes --no-deps --only-binary :all: \
    -r "tools/$1/requirements.txt"
}
