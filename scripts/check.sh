#!/usr/bin/env bash
# The blocking checks, each named as it runs; stops at the first that fails.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
step() { printf '\n== %s\n' "$1"; }

step "format";        $bin/ruff format --check .
step "lint";          $bin/ruff check .
step "types";         $bin/mypy server/src sdk/src server/tests sdk/tests bench scripts
step "architecture";  $bin/lint-imports --no-cache
step "dependencies";  $bin/deptry server/src --config server/pyproject.toml --known-first-party tokenwatcher_server
                      $bin/deptry sdk/src --config sdk/pyproject.toml --known-first-party tokenwatcher
step "templates";     $bin/djlint server/src/tokenwatcher_server/web/templates --lint --quiet
step "spelling";      $bin/codespell server sdk bench docs wire scripts ./*.md
printf '\nEvery check passed.\n'
