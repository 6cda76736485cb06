"""Run a program as Python would, with every supported library instrumented.

The program finds its own arguments in `sys.argv`, its own folder in `sys.path`, and is `__main__`.
Its exit status and its exceptions are what they would be; what is queued is sent when it ends.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

USAGE = """\
usage: python -m tokenwatcher run SCRIPT [ARGUMENT ...]
       python -m tokenwatcher run -m MODULE [ARGUMENT ...]

Run a Python program and record what its LLM calls use. Settings come from TOKENWATCHER_API_KEY,
TOKENWATCHER_ENDPOINT and the other variables of the SDK.
"""
WRONG_USAGE = 2


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments say; gives the exit status where nothing was run."""
    if list(arguments) in (["-h"], ["--help"], ["run", "-h"], ["run", "--help"]):
        sys.stdout.write(USAGE)
        return 0
    match arguments:
        case ["run", "-m", module, *rest] if module:
            return _run_module(module, rest)
        case ["run", script, *rest] if not script.startswith("-"):
            return _run_script(script, rest)
        case _:
            sys.stderr.write(USAGE)
            return WRONG_USAGE


def _run_script(script: str, arguments: list[str]) -> int:
    from runpy import run_path

    path = Path(script)
    if not path.exists():
        sys.stderr.write(f"tokenwatcher: there is no file {script!r}\n")
        return WRONG_USAGE
    _instrument()
    sys.argv = [script, *arguments]
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # the folder that `-m tokenwatcher` was called in
        if path.is_file():
            sys.path.insert(0, str(path.resolve().parent))
    run_path(script, run_name="__main__")
    return 0


def _run_module(module: str, arguments: list[str]) -> int:
    from runpy import run_module

    _instrument()
    sys.argv = [module, *arguments]
    run_module(module, run_name="__main__", alter_sys=True)
    return 0


def _instrument() -> None:
    from tokenwatcher.client import TokenWatcher

    TokenWatcher().instrument()
