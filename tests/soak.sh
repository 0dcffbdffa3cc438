#!/bin/sh
# The long soak: two users through every shape of memorized function while Redis breaks for 10 to 60 s at a time; then the
# simulation with many seeds, where there is one. Fails on any value of another user, any error of the cache's own, any value
# that is too old, anything that does not heal within 5 s, and anything that grows.
#
#   FM_SOAK_SECONDS   how long, about (600)
#   FM_SOAK_OUTAGE    how long an outage is, in seconds (10-60)
#   FM_SOAK_SEED      makes the decisions of an earlier run again
#   FM_SIM_SEEDS      how many seeds of the simulation (10000)
set -eu

cd "$(dirname "$0")/.."

export FM_SOAK_SECONDS="${FM_SOAK_SECONDS:-600}" FM_SOAK_OUTAGE="${FM_SOAK_OUTAGE:-10-60}"

step() {
    printf '\n==> %s\n' "$*"
    "$@"
}

if ! command -v redis-server >/dev/null 2>&1; then
    echo "redis-server is missing: sh tests/run.sh installs it" >&2
    exit 1
fi

printf '%s s, outages of %s s\n' "$FM_SOAK_SECONDS" "$FM_SOAK_OUTAGE"
failed=""
step cargo test --release --all-features --test soak -- --nocapture || failed="the soak"

if [ -f memory-core/tests/simulation.rs ]; then
    export FM_SIM_SEEDS="${FM_SIM_SEEDS:-10000}"
    step cargo test --release -p memory-core --features test-util --test simulation || failed="${failed:+$failed, }the simulation"
fi

if [ -n "$failed" ]; then
    printf '\nfailed: %s\n' "$failed"
    exit 1
fi
printf '\nnothing mixed, nothing lost, nothing grown\n'
