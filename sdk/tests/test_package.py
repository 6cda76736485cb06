"""The package: nothing but the standard library, typed, and whole when installed alone."""

import ast
import inspect
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import tokenwatcher

SDK = Path(__file__).parents[1]
SOURCES = sorted((SDK / "src").rglob("*.py"))
ADAPTERS = SDK / "src" / "tokenwatcher" / "adapters"
"""Each is for a framework, and imported by nobody but its users."""


def test_nothing_is_imported_but_the_standard_library() -> None:
    for path in set(SOURCES) - set(ADAPTERS.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for_type_checkers = {id(inner) for block in ast.walk(tree) if _is_for_type_checkers(block)
                             for inner in ast.walk(block)}  # fmt: skip
        for node in ast.walk(tree):
            if id(node) in for_type_checkers:
                continue
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            roots = {name.split(".")[0] for name in names}
            assert roots <= sys.stdlib_module_names | {"tokenwatcher"}, path


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_sources_are_of_the_oldest_python() -> None:
    for path in SOURCES:
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))


def test_import_brings_in_nothing_slow() -> None:
    code = "import sys; import tokenwatcher; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(SDK / 'src')!r}); {code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    loaded = set(done.stdout.split())
    assert not loaded & {"asyncio", "ssl", "multiprocessing", "inspect", "uuid", "sqlite3"}


def test_no_public_name_is_hidden_by_a_module_of_that_name() -> None:
    modules = {path.stem for path in (SDK / "src" / "tokenwatcher").iterdir()}
    assert not modules & set(tokenwatcher.__all__)


def test_everything_public_says_what_it_does() -> None:
    for name in tokenwatcher.__all__:
        thing = getattr(tokenwatcher, name)
        assert name == "__version__" or thing.__doc__, name
        if inspect.isclass(thing):
            assert thing.__doc__, name
            for method_name, method in vars(thing).items():
                if inspect.isfunction(method) and not method_name.startswith("_"):
                    assert method.__doc__, f"{name}.{method_name}"


def test_package_is_marked_as_typed() -> None:
    assert (SDK / "src" / "tokenwatcher" / "py.typed").is_file()


def test_first_example_of_the_readme_works() -> None:
    readme = (SDK / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)[:1]
    assert "from openai import OpenAI" in example
    compile(example, "README.md", "exec")


@pytest.mark.slow
def test_wheel_installed_alone_records_an_event(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-index",
             "--no-deps", "--wheel-dir", str(tmp_path), str(SDK)]  # fmt: skip
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    [wheel] = tmp_path.glob("*.whl")
    home = tmp_path / "alone"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet",
               "--no-index", "--no-deps", str(wheel)]  # fmt: skip
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    code = """
from tokenwatcher.testing import captured_usage
with captured_usage() as usage:
    usage.client.track(lambda: {"object": "chat.completion", "model": "m", "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})
    print(usage.event["inputTokens"], usage.event["outputTokens"])
"""
    done = subprocess.run([str(python), "-I", "-W", "error", "-c", code],
                          capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert (done.stdout, done.stderr) == ("3 4\n", "")
