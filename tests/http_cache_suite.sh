#!/bin/sh
# Runs the public HTTP cache tests (npm: http-cache-tests) against examples/cache_proxy.rs, and prints how many of each kind pass
# and the id of each that does not. Takes about a minute. Needs cargo and the network; installs node and npm where they are missing.
#
#   sh tests/http_cache_suite.sh [ARGUMENT OF THE PROXY]...      --as-rfc-9111 where none is given
set -eu

cd "$(dirname "$0")/.."
version=0.4.5
[ $# -gt 0 ] || set -- --as-rfc-9111

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
    echo "node or npm is missing: installing them"
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root=sudo
    $as_root apt-get update
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nodejs npm
fi
echo "node $(node --version), npm $(npm --version), http-cache-tests $version"

cargo build --quiet --example cache_proxy
proxy="$(pwd)/${CARGO_TARGET_DIR:-target}/debug/examples/cache_proxy"
runner="$(pwd)/tests/http_cache/suite.mjs"

work=$(mktemp -d)
server_pid= proxy_pid=
stop() {
    for pid in $server_pid $proxy_pid; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT INT TERM

cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" "http-cache-tests@$version" >/dev/null
suite="$work/node_modules/http-cache-tests"
free_port() {
    node -e 'const s = require("net").createServer().listen(0, () => { console.log(s.address().port); s.close() })'
}
server_port=$(free_port)
proxy_port=$(free_port)

cd "$suite"
npm_config_protocol=http npm_config_port="$server_port" npm_config_pidfile="$work/server.pid" \
    node --no-warnings server/server.mjs >"$work/server.log" 2>&1 &
server_pid=$!
"$proxy" --listen "127.0.0.1:$proxy_port" --origin "http://localhost:$server_port" "$@" >"$work/proxy.log" 2>&1 &
proxy_pid=$!
for port in "$server_port" "$proxy_port"; do
    node -e '
        const connect = left => require("net").connect(Number(process.argv[1]), "localhost")
            .on("connect", () => process.exit(0))
            .on("error", () => left ? setTimeout(connect, 50, left - 1) : process.exit(1));
        connect(200)' "$port" || { echo "nothing listens on port $port"; cat "$work"/*.log; exit 1; }
done

cp "$runner" "$suite/suite.mjs"
node --no-warnings suite.mjs "http://127.0.0.1:$proxy_port"
