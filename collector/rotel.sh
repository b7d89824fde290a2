#!/bin/sh
# Rotel (https://rotel.dev) as a light agent beside a program: OTLP in on the loopback interface, OTLP out to a
# Rundial server. The tests run this file, with the Rotel of PyPI (rotel==0.0.1a15) between program and server.
#
#   RUNDIAL_ENDPOINT=https://rundial.example RUNDIAL_API_KEY=rdk_… ./rotel.sh
#   OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python train.py
#
# Guaranteed: points keep their steps and times, lifecycle and text their order numbers; what the server answers
#   with 429 or 503 is sent again, with growing pauses; SIGTERM sends what is held before it leaves.
# Not guaranteed: Rotel answers 200 before anything is on disk, and keeps what it holds in memory. kill -9, a power
#   cut, or a server that stays away longer than the time below costs what it held, which the program's ledger
#   counts as delivered. The server notices by the run's own account, once that arrives: "missing", not "complete".
set -eu
: "${RUNDIAL_ENDPOINT:?the URL of the Rundial server}"
: "${RUNDIAL_API_KEY:?a key with the scope that ingests; Rotel does not pass on that of its clients}"

export ROTEL_OTLP_HTTP_ENDPOINT="${ROTEL_OTLP_HTTP_ENDPOINT:-127.0.0.1:4318}"
export ROTEL_OTLP_GRPC_ENDPOINT="${ROTEL_OTLP_GRPC_ENDPOINT:-127.0.0.1:4317}"

export ROTEL_EXPORTER=otlp
export ROTEL_OTLP_EXPORTER_PROTOCOL=http
export ROTEL_OTLP_EXPORTER_ENDPOINT="$RUNDIAL_ENDPOINT"
# In the environment, not among the arguments, where every user of the machine could read it.
export ROTEL_OTLP_EXPORTER_CUSTOM_HEADERS="authorization=Bearer $RUNDIAL_API_KEY"
unset RUNDIAL_API_KEY

# The defaults are 5 s, 30 s and 300 s, after which a request is given up.
export ROTEL_OTLP_EXPORTER_RETRY_INITIAL_BACKOFF="${ROTEL_OTLP_EXPORTER_RETRY_INITIAL_BACKOFF:-500ms}"
export ROTEL_OTLP_EXPORTER_RETRY_MAX_BACKOFF="${ROTEL_OTLP_EXPORTER_RETRY_MAX_BACKOFF:-30s}"
export ROTEL_OTLP_EXPORTER_RETRY_MAX_ELAPSED_TIME="${ROTEL_OTLP_EXPORTER_RETRY_MAX_ELAPSED_TIME:-86400s}"

exec "${ROTEL:-rotel}" start
