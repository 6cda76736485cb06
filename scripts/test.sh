#!/usr/bin/env bash
# Every test. Brings what the tests need beside Python, and says loudly what it can't bring.
set -euo pipefail
cd "$(dirname "$0")/.."

have_chromium() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; }

if ! have_chromium; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests ..."
    apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
  else
    echo "!! No Chromium here and no way to install it: the browser tests will be skipped." >&2
  fi
fi

run() { .venv/bin/python -m pytest -n "${TEST_PROCESSES:-2}" "$@"; }

if [ "$#" -gt 0 ]; then
  run "$@"
else
  # apart: the browser's driver keeps an event loop running in its process, and the frameworks
  # that have adapters are in an environment of their own (see test_versions.sh)
  run --ignore server/tests/browser --ignore sdk/tests/adapters
  run server/tests/browser
fi
