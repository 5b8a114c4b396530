# shellcheck shell=bash
# What the steps share: checks, processes that are ended by their ids, logins. `work`, `here` and `repository` come from `run`.
# shellcheck disable=SC2154

domain="dev.carnet.test" # the trust domain that the shipped policy bundle names
people_audience="https://carnet.test/people"
initiator_audience="https://carnet.test/initiators"
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

finish() {
  local code=$?
  trap - EXIT
  for name in "${!pids[@]}"; do
    stop "$name"
  done
  if [ "$code" -ne 0 ]; then
    for log in "$work"/log/*; do
      [ -f "$log" ] || continue
      echo "--- ${log##*/}: its last lines" >&2
      tail -n 8 "$log" >&2
    done
  fi
  if [ -n "${CARNET_SMOKE_KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
  if [ "$code" -eq 0 ]; then echo "oidc: passed in ${SECONDS}s"; else echo "oidc: FAILED in $step after ${SECONDS}s" >&2; fi
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

# done_by COMMAND...: it must succeed; what it says is in $work/last.
done_by() { "$@" > "$work/last" 2>&1 || fail "$* ($(tail -n 3 "$work/last"))"; }

# The value of a member of the JSON on standard input; the first of that name.
field() { grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | sed 's/.*: *"\(.*\)"/\1/'; }

# The claims of a token in a file.
claims() { node -e 'process.stdout.write(Buffer.from(require("fs").readFileSync(process.argv[1], "utf8").split(".")[1], "base64url"))' "$1"; }

free_port() {
  local port
  while port=$((RANDOM % 12000 + 20000)) && (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do :; done
  echo "$port"
}

# start_provider NAME PORT KEY-ID
start_provider() {
  start "$1" node "$work/node/provider.mjs" "$2" "$work/web.pem" "$work/web.key" "$3"
  within 20 curl --silent --fail --cacert "$work/ca.pem" "https://127.0.0.1:$2/.well-known/openid-configuration"
}

# login FILE ISSUER ACCOUNT ARGUMENTS...: `carnet login`, with somebody at the browser.
login() {
  local file="$1" issuer="$2" account="$3" pid words code="" until=$((SECONDS + 20))
  shift 3
  words="$work/log/login-$(basename "$file")"
  rm -f "$words"
  "$CARNET" login --issuer "$issuer" --client-id carnet-cli --scope "openid carnet" --max-age 15m --ca-file "$work/ca.pem" \
    --save "$file" "$@" > "$work/last" 2> "$words" &
  pid=$!
  until code="$(sed -n 's/.*enter the code \([A-Z-]*\).*/\1/p' "$words" 2> /dev/null)" && [ -n "$code" ]; do
    kill -0 "$pid" 2> /dev/null && [ "$SECONDS" -lt "$until" ] || fail "no code is told: $(cat "$words")"
    sleep 0.1
  done
  NODE_EXTRA_CA_CERTS="$work/ca.pem" node "$here/browser.mjs" "$issuer/device" "$code" "$account" > "$work/log/browser" 2>&1 \
    || fail "nobody can log in: $(cat "$work/log/browser")"
  wait "$pid" || fail "the login failed: $(cat "$words")"
  [ "$(stat -c %a "$file")" = 600 ] || fail "others may read $file"
}

# person FILE ARGUMENTS...: `carnet` as the person whose token is in the file.
person() {
  local file="$1"
  shift
  "$CARNET" --output json "$@" --people "$people" --token-file "$file" --ca-file "$work/ca.pem"
}

# as MEMBER ARGUMENTS...: `carnet` as a workload of the dev world.
as() {
  local member="$1"
  shift
  SPIFFE_ENDPOINT_SOCKET="unix://$work/dev/sockets/$member.sock" CARNET_BROKER="$broker" \
    CARNET_BROKER_ID="spiffe://$domain/carnet" "$CARNET" --output json "$@"
}
