"""Real server processes for the tests that speak HTTP, and browsers that come to them.

Each test process has two: one whose password nobody knows, and one to sign in to.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from hypothesis import settings
from sqlalchemy import text

from server.tests.clickhouse_server import ClickHouse
from server.tests.postgres_server import Postgres
from server.tests.redis_server import Redis
from tokenwatcher_server.cli.main import main
from tokenwatcher_server.control.database import Database, control_url

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")  # a loaded one is no fault of a law

COMMAND = (sys.executable, "-m", "tokenwatcher_server")
READY = "TokenWatcher is ready at "
PASSWORD = "correct horse battery staple"
ADDRESSES = count(1)
QUIET = {"TOKENWATCHER_API_KEY", "DASHBOARD_PASSWORD", "DATABASE_URL", "EVENTS_URL"}
SECRET = "a secret of servers that share 4 database"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the files of the embedded stores where another engine is tested."""
    if config.getoption("--engine") != "embedded":
        items[:] = [item for item in items if item.get_closest_marker("embedded") is None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=("embedded", "postgres", "clickhouse"),
        default="embedded",
        help="what the servers that tests share keep their data in",
    )


@pytest.fixture(scope="session")
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], dict[str, str]]]:
    """Gives the settings of a server of its own: an empty place for its data each time."""
    named = request.config.getoption("--engine")
    if named == "embedded":
        yield dict
        return
    if named == "clickhouse":  # which holds events alone
        events: ClickHouse = request.getfixturevalue("clickhouse")
        yield lambda: {"EVENTS_URL": events.new_database()}
        return
    server: Postgres = request.getfixturevalue("postgres")
    redis = Redis(tmp_path_factory.mktemp("redis"))
    numbers = count()
    yield lambda: {
        "DATABASE_URL": server.new_database(),
        "DASHBOARD_SESSION_SECRET": SECRET,
        "REDIS_URL": redis.database(next(numbers)),
    }
    redis.stop()


class Instance:
    """A data folder with a server that runs on it, and the command line beside it."""

    program: Sequence[str] = COMMAND
    """What runs the server; a test may have its own."""

    def __init__(self, data_dir: Path, options: Sequence[str] = (), **environment: str) -> None:
        self.data_dir, self.options = data_dir, options
        self.environment = {k: v for k, v in os.environ.items() if k not in QUIET} | environment
        self.output: list[str] = []
        self.start()

    def start(self) -> None:
        with (self.data_dir.parent / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [
                    *self.program,
                    "serve",
                    "--port",
                    "0",
                    "--data-dir",
                    str(self.data_dir),
                    *self.options,
                ],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line.rstrip("\n"))
            if line.startswith(READY):
                self.url = line.removeprefix(READY).strip()
                return
        self.kill()
        raise AssertionError(f"the server did not start: {self.output} {self.log}")

    @property
    def log(self) -> str:
        return (self.data_dir.parent / "server.log").read_text()

    def cli(self, *arguments: str) -> Any:
        """Run a command on the data folder and give its JSON."""
        done = subprocess.run(
            [*COMMAND, *arguments, "--data-dir", str(self.data_dir), "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def key(self, *options: str) -> str:
        """A new key for the whole default workspace, unless the options say otherwise."""
        raw: str = json.loads(self.command("keys", "create", *options, "--json"))["rawKey"]
        return raw

    def command(self, *arguments: str, given: str = "") -> str:
        """Run a command in this process, as starting one takes longer than most tests do.

        It has a thread of its own, as some tests have a loop running in theirs.
        """
        whole = [*arguments, "--data-dir", str(self.data_dir)]
        runner = CliRunner(
            env={name: self.environment.get(name) for name in QUIET | {"DASHBOARD_SESSION_SECRET"}}
        )
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(runner.invoke, main, whole, input=given).result()
        assert done.exit_code == 0, done.output
        return done.stdout

    def change(self, statement: str, **values: object) -> int:
        """Change the control data behind the server's back; gives how many rows."""

        async def run() -> int:
            url = self.environment.get("DATABASE_URL")
            database = Database(control_url(url, self.data_dir))
            async with database.transaction() as connection:
                done = await connection.execute(text(statement), values)
            await database.close()
            return int(done.rowcount)

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, run()).result()

    def client(self, key: str | None = None, **options: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """End the server as Ctrl-C would; gives its exit status."""
        self.signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=10)
        self.output += output.splitlines()
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis server that a test may stop and freeze."""
    running = Redis(tmp_path)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that tests share, each with databases of its own."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(scope="session")
def instance(
    tmp_path_factory: pytest.TempPathFactory, engine: Callable[[], dict[str, str]]
) -> Iterator[Instance]:
    """A running server that tests share: they keep to workspaces and keys of their own."""
    running = Instance(tmp_path_factory.mktemp("instance") / "data", **engine())
    yield running
    running.stop()


@pytest.fixture
def new_instance(
    tmp_path: Path, engine: Callable[[], dict[str, str]]
) -> Iterator[Callable[..., Instance]]:
    """Starts servers of a test's own, each with its folder; they end with the test."""
    made: list[Instance] = []

    def start(name: str = "data", options: Sequence[str] = (), **environment: str) -> Instance:
        made.append(Instance(tmp_path / name, options, **(engine() | environment)))
        return made[-1]

    yield start
    for running in made:
        if running.process.poll() is None:
            running.kill()


@pytest.fixture(scope="session")
def door(
    tmp_path_factory: pytest.TempPathFactory, engine: Callable[[], dict[str, str]]
) -> Iterator[Instance]:
    """A server behind a proxy that it trusts, whose admin signs in with PASSWORD."""
    running = Instance(
        tmp_path_factory.mktemp("door") / "data",
        DASHBOARD_PASSWORD=PASSWORD,
        TRUSTED_PROXIES="127.0.0.0/8",
        **engine(),
    )
    yield running
    running.stop()


@pytest.fixture
def visitor(door: Instance) -> Iterator[Callable[[], httpx.Client]]:
    """Opens browsers that nobody has signed in on, each at another address."""
    opened: list[httpx.Client] = []

    def browser() -> httpx.Client:
        client: httpx.Client = door.client()
        number = next(ADDRESSES)
        client.headers["X-Forwarded-For"] = f"198.51.{number // 250}.{number % 250}"
        opened.append(client)
        return client

    yield browser
    for client in opened:
        client.close()


@pytest.fixture
def signed_in(visitor: Callable[[], httpx.Client]) -> Callable[[], httpx.Client]:
    """Opens browsers with a session and its CSRF token in place."""

    def browser() -> httpx.Client:
        client = visitor()
        credentials = {"username": "admin", "password": PASSWORD}
        assert client.post("/api/auth/login", json=credentials).status_code == 200
        client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrfToken"]
        return client

    return browser


@pytest.fixture
def person(door: Instance, visitor: Callable[[], httpx.Client]) -> Callable[..., httpx.Client]:
    """Opens browsers of people with a role in a workspace, by its slug."""

    def browser(role: str, workspace: str = "default") -> httpx.Client:
        name = f"{role}-{next(ADDRESSES)}"
        place = ("--role", role, "--workspace", workspace)
        door.command("users", "create", name, *place, given=PASSWORD)
        client = visitor()
        credentials = {"username": name, "password": PASSWORD}
        assert client.post("/api/auth/login", json=credentials).status_code == 200
        client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrfToken"]
        return client

    return browser


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouse]:
    """ClickHouse's engine, started when a test first asks for it; tests have databases of their own."""
    server = ClickHouse()
    yield server
    server.close()
