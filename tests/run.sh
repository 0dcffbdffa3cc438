#!/bin/sh
# Runs every test of the workspace, and the first example. Needs cargo; installs redis-server where it is missing.
# FM_MEMORY_ENGINE=moka tests/run.sh runs them on the other memory engine.
set -eu

cd "$(dirname "$0")/.."

step() {
    printf '\n==> %s\n' "$*"
    "$@"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

if ! command -v redis-server >/dev/null 2>&1; then
    echo "redis-server is missing: installing it"
    step as_root apt-get update
    step as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server
    # The package may start a server of its own on the default port; the tests start theirs on free ports.
fi
step redis-server --version

step cargo test --workspace --all-features
step cargo run --example quickstart -- --once

printf '\nall tests passed\n'
