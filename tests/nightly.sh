#!/bin/sh
# What takes too long for every change: the public HTTP cache tests over real sockets, the responses in memory and in Redis; the long soak
# and the simulation's ten thousand seeds; that a release injects no chaos; all tests on the other memory engine. Goes on after a failure,
# and fails in the end if anything did. Needs cargo, redis-server and the network.
#
#   FM_SOAK_SECONDS, FM_SOAK_OUTAGE, FM_SIM_SEEDS   as tests/soak.sh takes them
set -eu

cd "$(dirname "$0")/.."

failed=""
step() {
    name="$1"
    shift
    printf '\n==> %s\n' "$*"
    "$@" || failed="${failed:+$failed, }$name"
}

if ! command -v redis-server >/dev/null 2>&1; then
    echo "redis-server is missing: sh tests/run.sh installs it" >&2
    exit 1
fi

work=$(mktemp -d)
redis_pid=
stop() {
    [ -z "$redis_pid" ] || kill "$redis_pid" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT INT TERM
redis-server --port 0 --unixsocket "$work/redis.sock" --save '' --dir "$work" >"$work/redis.log" 2>&1 &
redis_pid=$!

step "the HTTP cache tests" sh tests/http_cache_suite.sh
step "the HTTP cache tests with Redis" sh tests/http_cache_suite.sh --as-rfc-9111 --redis "redis+unix://$work/redis.sock"
step "the soak" sh tests/soak.sh
step "chaos in a release" env FM_CHAOS_IS_OFF=1 cargo test --release --package memory --test resilience chaos_is_off
step "the tests with moka" env FM_MEMORY_ENGINE=moka sh tests/run.sh

if [ -n "$failed" ]; then
    printf '\nfailed: %s\n' "$failed"
    exit 1
fi
printf '\nall of it passed\n'
