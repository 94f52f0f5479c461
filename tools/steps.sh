# shellcheck shell=bash disable=SC2154
# Sourced by the scripts: long steps with their output in a log, shown only when they fail.

# Where the logs go, one for each step.
logs=${RINGSIDE_LOGS:-$top/out/logs}

# Says every few seconds how far the step that writes $1 has come.
tick() {
  local log=$1 start=$SECONDS last='' now
  while sleep 10 >/dev/null 2>&1; do
    now=$(grep -aoE '^\[[0-9]+/[0-9]+\]|^ *[0-9]+/[0-9]+ Test|^(Get|Unpacking|Setting up)[^ ]* [^ ]*' \
      "$log" | tail -n 1 || true)
    [ "$now" = "$last" ] || printf '   %4d s  %s\n' $((SECONDS - start)) "$now"
    last=$now
  done
}

# step NAME TITLE COMMAND...: runs COMMAND with its output in NAME.log.
step() {
  local name=$1 title=$2 start=$SECONDS status=0
  shift 2
  mkdir -p "$logs"
  local log=$logs/$name.log
  printf '== %s\n' "$title"
  : >"$log"
  tick "$log" &
  local ticker=$!
  # shellcheck disable=SC2064  # the ticker of this step
  trap "kill $ticker 2>/dev/null" EXIT
  "$@" >"$log" 2>&1 || status=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  trap - EXIT
  if [ "$status" -ne 0 ]; then
    tail -n 60 "$log"
    printf '== %s: failed after %d s, all of it in %s\n' "$name" $((SECONDS - start)) "$log"
    return "$status"
  fi
  printf '   %4d s  done\n' $((SECONDS - start))
}

# build PRESET [TARGET...]: configures and builds one of CMakePresets.json.
build() {
  local preset=$1
  shift
  local -a targets=()
  if [ $# -gt 0 ]; then targets=(--target "$@"); fi
  step "configure-$preset" "configure $preset" cmake -S "$top" --preset "$preset" &&
    (cd "$top" &&
      step "build-$preset" "build $preset" cmake --build --preset "$preset" "${targets[@]}")
}

build_folder() {
  if [ "$1" = release ]; then echo build; else echo "build-$1"; fi
}
