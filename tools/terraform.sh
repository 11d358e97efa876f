# A terraform-compatible binary for the tests that apply a real configuration. Sourced by ./dev test.
#
# One in the PATH is used. A fresh Debian 12 has none and no package for one, so OpenTofu is then built from source, once,
# through Go's module proxy: Debian's Go (1.19) is too old to build it but can download a newer Go, which is itself a
# module. Both downloads are compared with the sums below; OpenTofu's own go.sum, inside what was compared, pins the rest.
# The remote state backends are left out: they are two thirds of the build, and the tests keep their state in a file.

readonly TOFU_VERSION=v1.6.3
readonly TOFU_SUM=h1:aWutoODFUB+k9EZ6xtnf7571oCmUiVZ4d1bevHVhsJg=
readonly GO_VERSION=v0.0.1-go1.21.13.linux-amd64
readonly GO_SUM=h1:THKeCuuOK6mnQhbTbvvH9CKU3D4lwUERQax+yRXCVJk=

readonly TOFU=$ROOT/.cache/tools/tofu-$TOFU_VERSION

# Exports FORESHADOW_TOFU, the binary's path.
need_terraform() {
  local found
  if found=$(command -v tofu || command -v terraform); then
    export FORESHADOW_TOFU=$found
    return 0
  fi
  if [[ ! -x $TOFU ]]; then
    command -v go >/dev/null || need_packages golang-go ca-certificates
    step "opentofu" build_tofu || {
      say "OpenTofu could not be built; put a tofu or terraform (1.4 or later) of your own in the PATH and run again"
      return 1
    }
  fi
  export FORESHADOW_TOFU=$TOFU
}

# go_module PATH VERSION SUM: downloads and prints the directory, or fails when the sum differs.
go_module() {
  local about
  about=$(cd "$scratch" && go mod download -json "$1@$2") || {
    printf '%s\n' "$about"
    return 1
  } >&2
  if [[ $(json_field Sum <<<"$about") != "$3" ]]; then
    printf '%s@%s is not what it was: its sum is %s, not %s\n' "$1" "$2" "$(json_field Sum <<<"$about")" "$3" >&2
    return 1
  fi
  json_field Dir <<<"$about"
}
json_field() { sed -n "s/^\\t\"$1\": \"\\(.*\\)\",\\?$/\\1/p"; }

build_tofu() {
  local scratch=$ROOT/.cache/opentofu toolchain source
  if [[ $(uname -m) != x86_64 ]]; then
    echo "the pinned Go toolchain is for x86-64, this machine is $(uname -m)"
    return 1
  fi
  rm -rf "$scratch" || return
  mkdir -p "$scratch" "${TOFU%/*}" || return
  export GOPATH=$scratch/go GOCACHE=$scratch/cache GOFLAGS=-modcacherw GOTOOLCHAIN=local CGO_ENABLED=0
  toolchain=$(go_module golang.org/toolchain "$GO_VERSION" "$GO_SUM") || return
  # A module's files lose their execute bits on the way.
  chmod +x "$toolchain"/bin/* "$toolchain"/pkg/tool/*/* || return
  export PATH=$toolchain/bin:$PATH
  source=$(go_module github.com/opentofu/opentofu "$TOFU_VERSION" "$TOFU_SUM") || return
  cp -r "$source" "$scratch/opentofu" || return
  cd "$scratch/opentofu" || return
  sed -i -E '/backend(Azure|Consul|Cos|GCS|Kubernetes|OSS|Pg|S3)\b/d' internal/backend/init/init.go || return
  go build -p "$(jobs)" -trimpath -ldflags '-s -w' -o "$TOFU.new" ./cmd/tofu || return
  "$TOFU.new" version || return
  mv "$TOFU.new" "$TOFU" || return
  cd "$ROOT" || return
  # Sources and caches are gigabytes, and never needed again.
  rm -rf "$scratch"
}
