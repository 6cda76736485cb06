"""`python -m tokenwatcher run`: the program runs as it would, and its calls are recorded."""

import json
import os
import subprocess
import sys
import textwrap
import zipapp
from pathlib import Path
from typing import Any

import pytest

LIBRARY = """
class Client:
    def chat(self, model):
        return self._request(dict, "POST", "/api/chat", json={"model": model})

    def _request(self, kind, *args, **kwargs):
        return kind(model=kwargs["json"]["model"], message={}, done=True,
                    prompt_eval_count=3, eval_count=4)

class AsyncClient:
    pass
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with a program, a module and a library that looks like one of the supported."""
    (tmp_path / "ollama").mkdir()
    (tmp_path / "ollama" / "__init__.py").write_text("from ollama._client import Client\n")
    (tmp_path / "ollama" / "_client.py").write_text(LIBRARY)
    (tmp_path / "app.py").write_text(
        textwrap.dedent(
            """
            import json, os, sys
            import ollama, beside

            def main():
                ollama.Client().chat(model="llama3")
                print(json.dumps({"argv": sys.argv, "name": __name__, "path": sys.path[0],
                                  "main": sys.modules["__main__"].__dict__.get("mark"),
                                  "beside": beside.value, "spec": __spec__ and __spec__.name}))
                if "leave" in sys.argv:
                    sys.exit(7)
                if "fail" in sys.argv:
                    raise RuntimeError("the app's own trouble")

            mark = "mine"
            if __name__ == "__main__":
                main()
            """
        )
    )
    (tmp_path / "beside.py").write_text("value = 42\n")
    return tmp_path


def run(
    server: Any, folder: Path, *arguments: str, tokenwatcher: bool = True
) -> subprocess.CompletedProcess[str]:
    own = ["-m", "tokenwatcher", "run"] if tokenwatcher else []
    return subprocess.run(
        [sys.executable, "-W", "error", *own, *arguments],
        cwd=folder,
        env={
            **os.environ,
            "TOKENWATCHER_API_KEY": "tw_test_key_of_the_app",
            "TOKENWATCHER_ENDPOINT": server.url,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("how", [["app.py"], ["-m", "app"]])
def test_program_runs_as_it_would_and_is_recorded(server: Any, app: Path, how: list[str]) -> None:
    plain = run(server, app, *how, "--one", "-m", "two", tokenwatcher=False)
    assert server.events == []
    ours = run(server, app, *how, "--one", "-m", "two")
    assert (ours.returncode, ours.stderr) == (0, "")
    assert json.loads(ours.stdout) == json.loads(plain.stdout)
    [event] = server.events
    assert (event["provider"], event["inputTokens"], event["outputTokens"]) == ("ollama", 3, 4)


@pytest.mark.parametrize(("what", "status"), [("leave", 7), ("fail", 1)])
def test_exit_status_is_the_programs_and_nothing_is_lost(
    server: Any, app: Path, what: str, status: int
) -> None:
    done = run(server, app, "app.py", what)
    assert done.returncode == status
    assert ("RuntimeError: the app's own trouble" in done.stderr) == (what == "fail")
    assert len(server.events) == 1


@pytest.mark.parametrize(
    ("arguments", "status"),
    [((), 2), (("-x",), 2), (("-m",), 2), (("absent.py",), 2), (("--help",), 0)],
)
def test_wrong_usage_is_told(
    server: Any, tmp_path: Path, arguments: tuple[str, ...], status: int
) -> None:
    done = run(server, tmp_path, *arguments)
    assert done.returncode == status
    assert "usage:" in done.stdout + done.stderr or "no file 'absent.py'" in done.stderr


def test_module_that_is_not_there_is_told_as_python_tells_it(server: Any, tmp_path: Path) -> None:
    done = run(server, tmp_path, "-m", "no_such_module")
    assert done.returncode == 1
    assert "No module named no_such_module" in done.stderr


@pytest.mark.parametrize("how", [["late.py"], ["-m", "late"], ["-m", "package"]])
def test_thread_that_outlives_the_program_finds_it_as_it_was(
    server: Any, app: Path, how: list[str]
) -> None:
    program = """
        import pickle, sys, threading
        class Mine:
            pass
        main, file = threading.main_thread(), __file__
        def late():
            main.join()
            print(type(pickle.loads(pickle.dumps(Mine()))), __package__, file, sys.argv)
        threading.Thread(target=late).start()
        """
    (app / "package").mkdir()
    (app / "package" / "__init__.py").touch()
    for path in ("late.py", "package/__main__.py"):
        (app / path).write_text(textwrap.dedent(program))
    plain = run(server, app, *how, "--one", tokenwatcher=False)
    ours = run(server, app, *how, "--one")
    assert (ours.returncode, ours.stderr) == (0, "")
    assert ours.stdout == plain.stdout


def test_program_in_a_folder_or_an_archive_runs(server: Any, app: Path) -> None:
    (app / "program").mkdir()
    (app / "program" / "__main__.py").write_text("print('here', __name__)")
    zipapp.create_archive(app / "program", app / "program.pyz")
    for where in ("program", "program.pyz"):
        done = run(server, app, where)
        assert (done.returncode, done.stdout, done.stderr) == (0, "here __main__\n", "")


def test_program_flushes_and_configures_what_records_it(server: Any, app: Path) -> None:
    (app / "own.py").write_text(
        "import tokenwatcher as tw, ollama\n"
        "ollama.Client().chat(model='one'); tw.flush(); assert tw.stats().sent == 1\n"
        "tw.init(default_tags={'of': 'the app'}); ollama.Client().chat(model='two')\n"
        "tw.flush(); assert tw.stats().sent == 1\n"
    )
    done = run(server, app, "own.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert [event.get("tags") for event in server.events] == [None, {"of": "the app"}]
