#!/usr/bin/env bash
# Wrapped clients with the oldest supported version of each provider's library, all in one
# environment, which is made anew when requirements/oldest.txt has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
oldest=.venv/oldest

if ! cmp -s requirements/oldest.txt "$oldest/requirements.txt"; then
  echo "Installing the oldest supported version of each provider's library into $oldest ..."
  rm -rf "$oldest"
  .venv/bin/python -m venv "$oldest"
  "$oldest/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/oldest.txt
  cp requirements/oldest.txt "$oldest/requirements.txt"
fi

# -W: the warnings of yesterday's libraries about today's Python are no concern of ours
PYTHONPATH=sdk/src exec "$oldest/bin/python" -m pytest -n "${TEST_PROCESSES:-2}" -q -W ignore \
  -p no:cacheprovider sdk/tests/recorded -k "not newest" "$@"
