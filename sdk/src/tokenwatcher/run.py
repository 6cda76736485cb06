"""Run a program as Python would, with every supported library instrumented.

The program finds its own arguments in `sys.argv`, its own folder in `sys.path`, and is `__main__`.
Its exit status and its exceptions are what they would be; what is queued is sent when it ends.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from pkgutil import get_importer
from types import CodeType, ModuleType
from typing import Any

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
    if _is_source(path):
        file = str(path.absolute())
        loader = SourceFileLoader("__main__", file)
        _run_as_main(loader.source_to_code(loader.get_data(file), file), __file__=file,
                     __loader__=loader)  # fmt: skip
    else:
        from runpy import run_path

        run_path(script, run_name="__main__")
    return 0


def _run_module(module: str, arguments: list[str]) -> int:
    _instrument()
    sys.argv = [module, *arguments]
    spec = _spec_of(module)
    code = spec.loader.get_code(spec.name)  # type: ignore[union-attr]  # one that has code
    sys.argv[0] = spec.origin or module
    _run_as_main(code, __file__=spec.origin, __loader__=spec.loader, __spec__=spec,
                 __package__=spec.parent, __cached__=spec.cached)  # fmt: skip
    return 0


def _is_source(path: Path) -> bool:
    """Tell a file of source from a folder or an archive that holds a program."""
    return path.is_file() and path.suffix != ".pyc" and get_importer(str(path)) is None


def _spec_of(module: str) -> ModuleSpec:
    """Find a module, or the `__main__` of a package. Raises ImportError as Python words it."""
    spec = find_spec(module)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = find_spec(f"{module}.__main__")
        if spec is None:
            raise ImportError(f"No module named {module}.__main__")
    if spec is None or not hasattr(spec.loader, "get_code"):
        raise ImportError(f"No module named {module}")
    return spec


def _run_as_main(code: CodeType, **known: Any) -> None:
    """Run code as the module `__main__`, which it stays: threads may need it to the very end."""
    main = ModuleType("__main__")
    main.__dict__.update(known)
    sys.modules["__main__"] = main
    exec(code, main.__dict__)  # noqa: S102  # it is what was asked for


def _instrument() -> None:
    """Have the client of the functions of the package record, so that the app can flush it."""
    from tokenwatcher.default import instrument

    instrument()
