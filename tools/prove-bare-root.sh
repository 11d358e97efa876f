#!/usr/bin/env bash
# Proves that a fresh Debian 12 is enough: debootstraps a minimal one, copies the last commit into it, runs ./dev there,
# and reports the time. Everything happens in mount and PID namespaces of its own: when they end, by whatever signal, the
# kernel takes back each mount and each process, so that removing the root can touch nothing of the host.
#
# usage: prove-bare-root.sh [--keep] [COMMAND...]        COMMAND as given to ./dev; default: demo
set -euo pipefail
repository=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")

# The mirror that this host's apt uses for Debian 12, whichever way its sources are written.
mirror() {
  local found
  found=$({
    awk '/^URIs:/ {uri = $2} /^Suites:/ && / bookworm( |$)/ {print uri}' /etc/apt/sources.list.d/*.sources 2>/dev/null || true
    sed -nE 's/^deb +(\[[^]]*\] +)?([^ ]+) +bookworm +.*main.*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true
  })
  [[ -n $found ]] || {
    echo "this host's apt sources name no Debian 12 mirror" >&2
    return 1
  }
  printf '%s\n' "${found%%$'\n'*}"
}

inside() {
  local root=$1 where
  shift
  where=$(mirror)
  echo "bare root: debootstrap"
  debootstrap --variant=minbase bookworm "$root" "$where" >"$root.log" 2>&1 || {
    tail -n 20 "$root.log"
    return 1
  }
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  # A network that inspects TLS has its own certificate authority; a user of this host would have it installed too.
  mkdir -p "$root/usr/local/share/ca-certificates"
  cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
  mkdir -p "$root/root/foreshadow"
  git -C "$repository" -c safe.directory="$repository" archive HEAD | tar -x -C "$root/root/foreshadow"
  echo "bare root: ./dev $*"
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    chroot "$root" bash -c 'cd /root/foreshadow && exec ./dev "$@"' ./dev "$@"
}

if [[ ${1:-} == --inside ]]; then
  shift
  inside "$@"
  exit
fi

keep=
if [[ ${1:-} == --keep ]]; then
  keep=1
  shift
fi
(($#)) || set -- demo
root=$(mktemp -d /var/tmp/foreshadow-bare-root.XXXXXX)
# mktemp's 0700 would keep the root's own users, PostgreSQL's among them, out of it.
chmod 755 "$root"
clean_up() {
  if [[ -n $keep ]]; then
    echo "bare root: kept at $root"
  else
    rm -rf --one-file-system "$root" "$root.log"
  fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

began=$SECONDS status=0
unshare --mount --propagation private --pid --fork --kill-child "$0" --inside "$root" "$@" || status=$?
echo "bare root: ./dev $* ended with $status after $((SECONDS - began)) s, debootstrap included"
exit "$status"
