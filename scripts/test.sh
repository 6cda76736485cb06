#!/usr/bin/env bash
# Every test. Brings what the tests need beside Python, and says loudly what it can't bring.
set -euo pipefail
cd "$(dirname "$0")/.."

have_chromium() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; }
have_pgbouncer() { PATH="$PATH:/usr/sbin" command -v pgbouncer >/dev/null; }

# bring PROGRAM PACKAGE WHAT: WHAT is what can't be tested without it
bring() {
  "have_$1" && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing $2 for $3 ..."
    apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2" >/dev/null
  else
    echo "!! No $2 here and no way to install it: $3 will be skipped." >&2
  fi
}
bring chromium chromium "the browser tests"
bring pgbouncer pgbouncer "the tests through PgBouncer"

run() { .venv/bin/python -m pytest -n "${TEST_PROCESSES:-2}" "$@"; }

if [ "$#" -gt 0 ]; then
  run "$@"
else
  # apart: the browser's driver keeps an event loop running in its process, and the frameworks
  # that have adapters are in an environment of their own (see test_versions.sh)
  run --ignore server/tests/browser --ignore sdk/tests/adapters
  run server/tests/browser
  # the promises of the whole server once more, on PostgreSQL and with Redis
  run server/tests/{web,promises,wire,alerts} server/tests/faults/test_kill.py --engine postgres
  # and what concerns events on ClickHouse's engine
  run server/tests/{web,wire} server/tests/faults/test_kill.py --engine clickhouse
fi
