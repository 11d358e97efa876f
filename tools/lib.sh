# What the commands share: steps with progress, packages, presets. Sourced by ./dev, which stands at the repository's root.

readonly ROOT=$PWD
readonly LOGS=$ROOT/build/log
CORES=$(nproc)

say() { printf '%s\n' "$*"; }
die() {
  printf './dev: %s\n' "$*" >&2
  exit 1
}

# Milliseconds since an arbitrary start; bash alone, so that timing a step costs nothing.
now_ms() {
  local now=${EPOCHREALTIME/[.,]/}
  printf '%s' $((now / 1000))
}

as_seconds() { printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100)); }

# The log's last line; programs that draw over theirs end it with a carriage return.
last_line() { tail -c 500 "$1" | tr '\r' '\n' | grep . | tail -n 1; }

# step NAME COMMAND...: runs it with its output in build/log/NAME.log. Under two seconds it prints one line at the end;
# after that the line shows the time so far and the log's last line. A failure shows the log's end and where the rest is.
# Where its caller looks at how it ended (||, if), bash ignores set -e in COMMAND: a function says `|| return` itself.
step() {
  local name=$1 log start shown=0 status=0 pid elapsed
  shift
  mkdir -p "$LOGS"
  log=$LOGS/${name//[^A-Za-z0-9_.-]/_}.log
  start=$(now_ms)
  # Its own process group, so that an interrupt ends the compilers below it too.
  set -m
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  set +m
  STEP_PID=$pid
  while kill -0 "$pid" 2>/dev/null; do
    read -r -t 0.1 -u "$TICK" || true
    elapsed=$(($(now_ms) - start))
    if [[ -t 1 ]]; then
      ((elapsed >= 2000)) && printf '\r\033[K%s  %d s  %.100s' "$name" $((elapsed / 1000)) "$(last_line "$log")"
    elif ((elapsed / 15000 > shown)); then
      shown=$((elapsed / 15000))
      printf '  %s  %d s  %.100s\n' "$name" $((elapsed / 1000)) "$(last_line "$log")"
    fi
  done
  wait "$pid" || status=$?
  STEP_PID=
  elapsed=$(as_seconds $(($(now_ms) - start)))
  [[ -t 1 ]] && printf '\r\033[K'
  if ((status == 0)); then
    say "$name  $elapsed"
    return 0
  fi
  say "$name  FAILED after $elapsed (exit $status); the end of ${log#"$ROOT"/}:"
  tail -n 60 "$log" | sed 's/^/    /'
  return "$status"
}

# The step's timer: a pipe nobody writes to, so that `read -t` sleeps without starting a process ten times a second.
TICK=
STEP_PID=
exec {TICK}<> <(:)
stop_step() {
  [[ -n $STEP_PID ]] && kill -- "-$STEP_PID" 2>/dev/null
  true
}
trap 'stop_step; exit 130' INT
trap 'stop_step; exit 143' TERM

# ---- packages: Debian 12's own lists, nothing else ----------------------------------------------------------------

# Enough to build the binary and to play the demo.
readonly PACKAGES_RUN="clang-19 lld-19 cmake ninja-build ccache libboost1.81-dev libexpected-dev libyaml-cpp-dev libcli11-dev
  libfmt-dev libspdlog-dev libsqlite3-dev libpq-dev libssl-dev zlib1g-dev libnghttp2-dev libjemalloc-dev nlohmann-json3-dev libgtest-dev libgmock-dev postgresql-15
  python3 iproute2 util-linux procps"
# The sanitizers' runtime, the symbolizer that makes their reports readable, varnishtest, and clients that are not ours.
readonly PACKAGES_TEST="$PACKAGES_RUN libclang-rt-19-dev llvm-19 git ca-certificates openssl nghttp2-client curl varnish prometheus apache2-utils nftables"
# Loaders that the soak starts, and what makes its certificates.
readonly PACKAGES_SOAK="nghttp2-client apache2-utils openssl"
# A browser: 100 MB to fetch, so not for every test.
readonly PACKAGES_CLIENTS="chromium-headless-shell openssl"
readonly PACKAGES_LINT="clang-format-19 clang-tidy-19"
# What one benchmark alone needs: PACKAGES_BENCH_<NAME>, installed by `./dev bench NAME` only.
readonly PACKAGES_BENCH_GATEWAY="haproxy nginx openssl python3-venv"
readonly PACKAGES_BENCH_POSTGRES="pgbouncer"
# What unpacks sources for `./dev conformance postgres`, and psql's own test runner, which comes with the client.
readonly PACKAGES_CONFORMANCE_POSTGRES="postgresql-client-15 bzip2 xz-utils ca-certificates"
# Packages among those above that would start as services, now and at every boot: package:service.
readonly SERVICES_OF_PACKAGES="haproxy:haproxy nginx:nginx pgbouncer:pgbouncer varnish:varnish varnish:varnishncsa prometheus:prometheus"

missing_packages() {
  command -v dpkg-query >/dev/null || die "packages are installed with apt, on Debian 12; install these another way: $*"
  local installed package
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | sort -u) || true
  for package in "$@"; do
    grep -qx "$package" <<<"$installed" || printf '%s ' "$package"
  done
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo -n "$@"
  fi
}

# We run servers as our own processes, in their own directories; their packages would start some as services of the machine.
# PostgreSQL's is told not to make a cluster, the others meet a policy-rc.d (Debian's hook for exactly this) that refuses
# every start, both for the time of the installation only; and they are not enabled for the next boot. A policy-rc.d that
# is here already is its owner's, and stays. Nothing is done to a service whose package was here before.
install_packages() (
  drop_in=/etc/postgresql-common/createcluster.d/foreshadow-setup.conf
  policy=/usr/sbin/policy-rc.d
  ours=("$drop_in")
  [[ -e $policy ]] || ours+=("$policy")
  trap 'as_root rm -f "${ours[@]}"' EXIT
  as_root mkdir -p "${drop_in%/*}"
  printf 'create_main_cluster = off\n' | as_root tee "$drop_in" >/dev/null
  if ((${#ours[@]} > 1)); then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" || return
  for service in $SERVICES_OF_PACKAGES; do
    [[ " $* " != *" ${service%:*} "* ]] || as_root update-rc.d "${service#*:}" disable || return
  done
)

# need_packages NAME...: installs what is missing; when nothing is, it takes one dpkg-query.
need_packages() {
  local missing
  # shellcheck disable=SC2086 # the lists are words
  missing=$(missing_packages $*)
  [[ -z $missing ]] && return 0
  say "missing packages: $missing"
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "installing them needs root; as root run: apt-get install $missing"
    # Asked before the step hides its output, or nobody would see the question.
    sudo -v || die "installing them needs root; run: sudo ./dev setup"
  fi
  step "apt-update" as_root apt-get -o DPkg::Lock::Timeout=300 update || die "apt-get update failed; is this machine on the network?"
  # shellcheck disable=SC2086
  step "apt-install" install_packages $missing || die "apt-get could not install them (Debian 12 has them all)"
}

# ---- building -----------------------------------------------------------------------------------------------------

# A sanitized translation unit with Asio takes up to 1.5 GB: fewer jobs than cores on a machine short of memory.
jobs() {
  local available jobs=$CORES
  available=$(awk '/^MemAvailable:/{print int($2 / 1500000)}' /proc/meminfo)
  ((available < jobs)) && jobs=$available
  ((jobs < 1)) && jobs=1
  printf '%d' "$jobs"
}

# build PRESET [TARGET...]: configures when needed, then builds; no target means all.
build() {
  local preset=$1 directory=build/$1
  shift
  if [[ ! -f $directory/build.ninja || CMakePresets.json -nt $directory/build.ninja ]]; then
    step "configure-$preset" cmake --preset "$preset" || return
    touch "$directory/build.ninja"
  fi
  step "build-$preset" ninja -C "$directory" -j "$(jobs)" "$@"
}

# The shipped binary, for the commands that run it.
readonly FORESHADOW=$ROOT/build/release/bin/foreshadow

sanitizer_environment() {
  export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:halt_on_error=1:abort_on_error=0:strict_string_checks=1:detect_stack_use_after_return=1}
  export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
  export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}
  local symbolizer
  symbolizer=$(command -v llvm-symbolizer-19 || true)
  if [[ -n $symbolizer ]]; then
    export ASAN_SYMBOLIZER_PATH=$symbolizer TSAN_OPTIONS="$TSAN_OPTIONS:external_symbolizer_path=$symbolizer"
    export UBSAN_OPTIONS="$UBSAN_OPTIONS:external_symbolizer_path=$symbolizer"
  fi
}
