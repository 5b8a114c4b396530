# shellcheck shell=bash
# What every scenario of this folder shares: its steps are run in one shell and in a folder of their own, what it starts it ends
# by its id, and it fails at the first thing that is not as it should be. `here` comes from the scenario's `run`.
#
#   CARNET             the binary [default: target/debug/carnet, built when it is not up to date]
#   CARNET_SMOKE_KEEP  when set, the folder with all logs is left there
# shellcheck disable=SC2154

name="$(basename "$here")"
# shellcheck disable=SC2034 # the steps use it
repository="$(cd "$here/../../.." && pwd)"
work="$(mktemp -d "${TMPDIR:-/tmp}/carnet-$name.XXXXXX")"
mkdir "$work/log"
step="start"
declare -A pids=()

say() { echo "    $*"; }

fail() {
  echo "FAILED in $step: $*" >&2
  exit 1
}

# Runs a program in the background, with its output in a log of that name.
start() {
  local name="$1"
  shift
  "$@" > "$work/log/$name" 2>&1 &
  pids[$name]=$!
}

# Ends one that was started, and waits until it is gone.
stop() {
  local pid="${pids[$1]:-}"
  [ -n "$pid" ] || return 0
  unset "pids[$1]"
  kill "$pid" 2> /dev/null || true
  wait "$pid" 2> /dev/null || true
}

is_alive() { kill -0 "${pids[$1]}" 2> /dev/null || fail "$1 has ended: $(tail -n 5 "$work/log/$1")"; }

finish() {
  local code=$? started log
  trap - EXIT
  for started in "${!pids[@]}"; do
    stop "$started"
  done
  if [ "$code" -ne 0 ]; then
    for log in "$work"/log/*; do
      [ -f "$log" ] || continue
      echo "--- ${log##*/}: its last lines" >&2
      tail -n 8 "$log" >&2
    done
  fi
  if [ -n "${CARNET_SMOKE_KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
  if [ "$code" -eq 0 ]; then echo "$name: passed in ${SECONDS}s"; else echo "$name: FAILED in $step after ${SECONDS}s" >&2; fi
  exit "$code"
}

# within SECONDS COMMAND...: tries it until it succeeds.
within() {
  local until=$((SECONDS + $1)) seconds="$1"
  shift
  until "$@" > "$work/last" 2>&1; do
    [ "$SECONDS" -lt "$until" ] || fail "not within $seconds s: $* ($(tail -n 3 "$work/last"))"
    sleep 0.3
  done
}

# refused CODE COMMAND...: it must fail, and say why.
refused() {
  local code="$1"
  shift
  if "$@" > "$work/last" 2>&1; then
    fail "this was not refused: $*"
  fi
  grep -q "$code" "$work/last" || fail "refused for another reason than $code: $(cat "$work/last")"
}

# The value of a member of the JSON on standard input; the first of that name.
field() { grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | sed 's/.*: *"\(.*\)"/\1/'; }

free_port() {
  local port
  while port=$((RANDOM % 12000 + 20000)) && (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do :; done
  echo "$port"
}

# Sees to it that CARNET is a binary that can be run.
have_carnet() {
  if [ -z "${CARNET:-}" ]; then
    cargo build --quiet --locked --manifest-path "$repository/Cargo.toml" --bin carnet
    CARNET="${CARGO_TARGET_DIR:-$repository/target}/debug/carnet"
  fi
  [ -x "$CARNET" ] || fail "there is no binary $CARNET"
}

# Runs the numbered steps of the scenario.
play() {
  local file began
  trap finish EXIT
  trap 'exit 130' INT TERM
  for file in "$here"/[0-9][0-9]-*; do
    step="$(basename "$file")"
    began=$SECONDS
    echo "==> $step"
    # shellcheck source=/dev/null
    source "$file"
    echo "    $step: $((SECONDS - began))s"
  done
}
