#!/usr/bin/env bash
# [REV|--all] clang-tidy-19 over the C++ files changed since REV (default: since the last commit)
# shellcheck disable=SC2086
need_packages $PACKAGES_TEST $PACKAGES_LINT
since=${1:-HEAD}
if [[ $since == --all ]]; then
  mapfile -t files < <(find src examples tests fuzz bench -name '*.cpp' 2>/dev/null | sort)
else
  git rev-parse -q --verify "$since^{commit}" >/dev/null || die "\"$since\" is no commit here (or use --all)"
  mapfile -t files < <({
    git diff --name-only --diff-filter=d "$since" -- '*.cpp'
    git ls-files --others --exclude-standard -- '*.cpp'
  } | sort -u)
fi
((${#files[@]})) || {
  say "lint: no C++ file changed since $since"
  exit 0
}
# The precompiled headers and generated files that clang-tidy reads through compile_commands.json.
build dev
say "lint: ${#files[@]} files"
mapfile -t known < <(printf '%s\n' "${files[@]}" | grep -Fxf <(sed -n "s|^ *\"file\": \"$ROOT/\\(.*\\)\",\\?$|\\1|p" build/dev/compile_commands.json))
((${#known[@]})) || die "none of them is built by preset dev"
printf '%s\0' "${known[@]}" | xargs -0 -n 1 -P "$(jobs)" clang-tidy-19 -p build/dev --quiet
