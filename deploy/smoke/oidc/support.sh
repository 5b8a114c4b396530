# shellcheck shell=bash
# What the steps share: the provider, logins, and who calls. `scenario.sh` has the rest.
# shellcheck disable=SC2154

domain="dev.carnet.test" # the trust domain that the shipped policy bundle names
people_audience="https://carnet.test/people"
initiator_audience="https://carnet.test/initiators"

# says CODE COMMAND...: whether it fails and says that, for what does so only after a while.
says() {
  local code="$1" said
  shift
  ! said="$("$@" 2>&1)" && grep -q "$code" <<< "$said"
}

# done_by COMMAND...: it must succeed; what it says is in $work/last.
done_by() { "$@" > "$work/last" 2>&1 || fail "$* ($(tail -n 3 "$work/last"))"; }

# The claims of a token in a file.
claims() { node -e 'process.stdout.write(Buffer.from(require("fs").readFileSync(process.argv[1], "utf8").split(".")[1], "base64url"))' "$1"; }

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
