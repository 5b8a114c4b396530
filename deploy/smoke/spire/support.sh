# shellcheck shell=bash
# What the steps share: SPIRE's command lines, who calls, and the broker's pages. `scenario.sh` has the rest.
# shellcheck disable=SC2154

domain="dev.carnet.test" # the trust domain that the shipped policy bundle names
partner="partner.test"

# server DOMAIN ARGUMENTS...: SPIRE's server command line for a trust domain.
server() {
  local name="$1"
  shift
  "$spire/spire-server" "$@" -socketPath "$work/$name/server.sock"
}

# Starts a SPIRE server and an agent of a trust domain.
start_spire() {
  local name="$1" port run="$work/$1"
  port="$(free_port)"
  mkdir -p "$run/server" "$run/agent"
  cat > "$run/server.conf" << CONF
server {
  trust_domain = "$name"  bind_address = "127.0.0.1"  bind_port = "$port"
  socket_path = "$run/server.sock"  data_dir = "$run/server"
  ca_ttl = "24h"  default_x509_svid_ttl = "1h"  agent_ttl = "1h"
  ratelimit { signing = false attestation = false }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "$run/server/datastore.sqlite3" } }
  KeyManager "disk" { plugin_data { keys_path = "$run/server/keys.json" } }
  NodeAttestor "join_token" { plugin_data {} }
}
CONF
  cat > "$run/agent.conf" << CONF
agent {
  trust_domain = "$name"  server_address = "127.0.0.1"  server_port = "$port"
  socket_path = "$run/agent.sock"  data_dir = "$run/agent"  trust_bundle_path = "$run/bundle.pem"
}
plugins {
  KeyManager "disk" { plugin_data { directory = "$run/agent" } }
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true workload_size_limit = -1 } }
}
CONF
  start "$name-server" "$spire/spire-server" run -config "$run/server.conf"
  within 30 server "$name" healthcheck
  server "$name" bundle show > "$run/bundle.pem"
  local token
  token="$(server "$name" token generate -spiffeID "spiffe://$name/node" -output json | field value)"
  start_agent "$name" -joinToken "$token"
}

# The agent keeps its keys on disk: started again, it needs no other join token.
start_agent() {
  local name="$1"
  shift
  start "$name-agent" "$spire/spire-agent" run -config "$work/$name/agent.conf" "$@"
  within 30 "$spire/spire-agent" healthcheck -socketPath "$work/$name/agent.sock"
}

# entry DOMAIN ID PATH PROGRAM ARGUMENTS...: the workload that runs this program has this SPIFFE ID. Each program is a link of
# its own to `carnet`, and SPIRE attests who calls by the path that it was started from.
entry() {
  local name="$1" id="$2" path="$3" program="$4"
  shift 4
  server "$name" entry create -entryID "$id" -parentID "spiffe://$name/node" -spiffeID "spiffe://$name$path" \
    -selector "unix:path:$work/w/$program" -x509SVIDTTL 60 "$@" > "$work/last" || fail "no entry: $(cat "$work/last")"
  program "$program"
}

program() { [ -e "$work/w/$1" ] || ln "$CARNET" "$work/w/$1" 2> /dev/null || cp "$CARNET" "$work/w/$1"; }

# as PROGRAM ARGUMENTS...: `carnet` as the workload that this program is.
as() {
  local program="$1" socket="$work/$domain/agent.sock"
  shift
  [[ "$program" != partner-* ]] || socket="$work/$partner/agent.sock"
  SPIFFE_ENDPOINT_SOCKET="unix://$socket" CARNET_BROKER="$broker" CARNET_BROKER_ID="spiffe://$domain/carnet" \
    "$work/w/$program" --output json "$@"
}

operator() { "$CARNET" --output json "$@" --operator-socket "$work/data/operator.sock"; }

# page PATH: what the broker's HTTPS door says.
page() { curl --silent --max-time 5 --cacert "$work/$domain/bundle.pem" "$issuer$1"; }

ready_says() { page /readyz | grep -q "$1"; }

metric_is() { page /metrics | grep -qF "$1 $2"; }
