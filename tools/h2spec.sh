# h2spec, the conformance suite for HTTP/2 servers that tests/kinds/http/h2spec runs. Sourced by ./dev test.
#
# Debian has no package for it. It is built from source, once, through Go's module proxy; versions stand in
# tools/h2spec/go.mod and the sums of everything downloaded in tools/h2spec/go.sum. Debian's Go (1.19) is new enough.

readonly H2SPEC=$ROOT/.cache/tools/h2spec

# Exports FORESHADOW_H2SPEC, the binary's path.
need_h2spec() {
  if [[ ! -x $H2SPEC || tools/h2spec/go.sum -nt $H2SPEC ]]; then
    command -v go >/dev/null || need_packages golang-go ca-certificates
    step "h2spec" build_h2spec || {
      say "h2spec could not be built (does the network reach Go's module proxy?); set FORESHADOW_H2SPEC to one of your own"
      return 1
    }
  fi
  export FORESHADOW_H2SPEC=$H2SPEC
}

build_h2spec() {
  local scratch=$ROOT/.cache/h2spec
  mkdir -p "$scratch" "${H2SPEC%/*}" || return
  export GOPATH=$scratch/go GOCACHE=$scratch/cache GOFLAGS="-modcacherw -mod=readonly" GOTOOLCHAIN=local CGO_ENABLED=0
  cd tools/h2spec || return
  go build -p "$(jobs)" -trimpath -ldflags '-s -w' -o "$H2SPEC.new" github.com/summerwind/h2spec/cmd/h2spec || return
  "$H2SPEC.new" --version || return
  mv "$H2SPEC.new" "$H2SPEC" || return
  cd "$ROOT" || return
  rm -rf "$scratch"
}
