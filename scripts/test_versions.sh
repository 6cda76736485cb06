#!/usr/bin/env bash
# The SDK beside other versions and other libraries than `make test` has, each set of them in an
# environment of its own, which is made anew when its requirements have changed:
#   oldest    wrapped clients with the oldest supported version of each provider's library
#   adapters  the callbacks for frameworks that call models themselves
#   python*   the other Pythons that the SDK supports; one that is not here is checked by its types
set -euo pipefail
cd "$(dirname "$0")/.."

environment() {
  local folder=.venv/$1 wanted=requirements/${2:-$1}.txt python=${3:-.venv/bin/python}
  cmp -s "$wanted" "$folder/requirements.txt" && return
  echo "Installing $wanted into $folder ..."
  rm -rf "$folder"
  "$python" -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$wanted"
  cp "$wanted" "$folder/requirements.txt"
}

# -W: the warnings of other libraries about each other are no concern of ours
run() {
  PYTHONPATH="$PWD/sdk/src" ".venv/$1/bin/python" -m pytest -n "${TEST_PROCESSES:-2}" -q -W ignore \
    -p no:cacheprovider "${@:2}"
}

environment oldest
run oldest sdk/tests/recorded -k "not newest" "$@"
environment adapters
# LiteLLM would ask the internet for its prices
LITELLM_LOCAL_MODEL_COST_MAP=True run adapters sdk/tests/adapters "$@"

# on the path, or among those that pyenv keeps beside it
interpreter() {
  local found
  for found in "$(command -v "python$1" || true)" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    [ -x "$found" ] && "$found" -c "import sys; sys.exit(sys.version_info[:2] != (${1/./, }))" \
      2>/dev/null && echo "$found" && return
  done
  return 1
}

for version in 3.10 3.12 3.13 3.14; do
  if python=$(interpreter "$version"); then
    environment "python$version" pythons "$python"
    run "python$version" sdk/tests --ignore sdk/tests/recorded --ignore sdk/tests/adapters "$@"
  else
    echo "!! No Python $version here: the SDK's types are checked for it, its tests are not run." >&2
    .venv/bin/mypy --python-version "$version" sdk/src
  fi
done
