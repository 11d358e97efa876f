# A terraform-compatible binary for the tests that apply a real configuration. Sourced by ./dev test.
need_terraform() {
  FORESHADOW_TOFU=$(command -v tofu || command -v terraform) || return 1
  export FORESHADOW_TOFU
}
