#!/usr/bin/env bash
# The SDK beside other versions and other libraries than `make test` has, each set of them in an
# environment of its own, which is made anew when its requirements have changed:
#   oldest    wrapped clients with the oldest supported version of each provider's library
#   adapters  the callbacks for frameworks that call models themselves
set -euo pipefail
cd "$(dirname "$0")/.."

environment() {
  local folder=.venv/$1 wanted=requirements/$1.txt
  cmp -s "$wanted" "$folder/requirements.txt" && return
  echo "Installing $wanted into $folder ..."
  rm -rf "$folder"
  .venv/bin/python -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$wanted"
  cp "$wanted" "$folder/requirements.txt"
}

# -W: the warnings of other libraries about each other are no concern of ours
run() {
  PYTHONPATH=sdk/src ".venv/$1/bin/python" -m pytest -n "${TEST_PROCESSES:-2}" -q -W ignore \
    -p no:cacheprovider "${@:2}"
}

environment oldest
run oldest sdk/tests/recorded -k "not newest" "$@"
environment adapters
# LiteLLM would ask the internet for its prices
LITELLM_LOCAL_MODEL_COST_MAP=True run adapters sdk/tests/adapters "$@"
