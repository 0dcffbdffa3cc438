#!/bin/sh
# Requests per second of one axum handler with 1 KiB of JSON, in every way that is compared; the table for benches/HTTP.md.
# The server and the load have a core each. Needs cargo and taskset; python3 for FastAPI, which is left out where it is missing.
#
#     sh benches/http.sh [SECONDS [ROUNDS]]
set -eu

cd "$(dirname "$0")"
seconds=${1:-4}
rounds=${2:-3}
connections=32
port=${PORT:-18180}
folder=$(mktemp -d)
server=

stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=
    fi
}
trap 'stop; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM

cargo build --quiet --release --manifest-path http/Cargo.toml --target-dir target
bench=target/release/memory-benches-http

# The processor time of the server so far, in clock ticks.
cpu() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }

# Starts the server that the arguments say, and measures it.
measure() {
    name=$1
    shift
    taskset -c 0 "$@" >/dev/null 2>"$folder/$name.log" &
    server=$!
    tries=0
    until "$bench" load "$port" 0 1 >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 50 ] || ! kill -0 "$server" 2>/dev/null; then
            echo "$name does not start:" >&2
            cat "$folder/$name.log" >&2
            stop
            return 1
        fi
        sleep 0.1
    done
    before=$(cpu)
    answered=$(taskset -c 1 "$bench" load "$port" "$seconds" "$connections")
    echo "$answered $before $(cpu)" >>"$folder/$name"
    stop
}

kinds="ready-bytes ready-bytes-headers fmjson-layer fmjson json-layer json moka-by-hand response-layer axum-response-cache uncached"
python=
if command -v python3 >/dev/null 2>&1 && python3 -m venv "$folder/venv" 2>/dev/null &&
    "$folder/venv/bin/pip" install --quiet fastapi-memory uvicorn httptools uvloop >"$folder/pip.log" 2>&1; then
    python=$folder/venv/bin/python
else
    echo "FastAPI is left out: it takes python3 with venv, and pip" >&2
fi

round=0
while [ "$round" -lt "$rounds" ]; do
    for kind in $kinds; do
        measure "$kind" "$bench" serve "$kind" "$port"
    done
    if [ -n "$python" ]; then
        measure fastapi-memory "$python" -m uvicorn --app-dir http --port "$port" --no-access-log --log-level warning fastapi_server:app
    fi
    round=$((round + 1))
done

# The middle of what the rounds gave: requests per second, and the server's processor time for one, which other work on the machine
# disturbs less.
middle() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }
rate() { cut -d' ' -f1 "$folder/$1" | middle; }
cost() { awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f\n", ($4 - $3) / hz * 1e6 / $2 }' "$folder/$1" | middle; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

echo "| server | requests/s | of ready bytes | µs of processor each | of ready bytes |"
echo "|---|---:|---:|---:|---:|"
for kind in $kinds ${python:+fastapi-memory}; do
    echo "| $kind | $(rate "$kind") | $(ratio "$(rate "$kind")" "$(rate ready-bytes)") |" \
        "$(cost "$kind") | $(ratio "$(cost ready-bytes)" "$(cost "$kind")") |"
done
