"""ClickHouse's own engine behind its HTTP interface, for tests: `python clickhouse_front.py FOLDER PORT`.

The engine is `chdb`, which runs inside a process; this speaks to it what a ClickHouse server speaks
on its HTTP port: statements over POST, parameters, settings, the Native format, errors. One user,
`default`, whose password is in FRONT_PASSWORD.
"""

import base64
import os
import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from chdb.session import Session
from lz4.frame import LZ4FrameDecompressor

TRANSPORT = {
    "query", "database", "user", "password", "query_id", "session_id", "wait_end_of_query",
    "compress", "enable_http_compression", "client_protocol_version", "default_format",
    "send_progress_in_http_headers", "http_headers_progress_interval_ms",
}  # fmt: skip
FORMAT = re.compile(rb"\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
INSERT = re.compile(rb"^\s*(INSERT INTO .*?)\s+FORMAT\s+(\w+)\s*?\n", re.IGNORECASE | re.DOTALL)
ON_CLUSTER = re.compile(rb" on cluster '\w+'")
REPLICATED = re.compile(rb"Replicated(\w+)\('[^']*', '{replica}'(?:, )?")
CLUSTER = """<clickhouse><tcp_port>9000</tcp_port><remote_servers><tokens><shard><replica>
<host>127.0.0.1</host><port>9000</port></replica></shard></tokens></remote_servers></clickhouse>"""
"""One of a single shard, which the engine takes for itself: nothing listens there."""
CODE = re.compile(r"Code: (\d+)\. DB::Exception:")
STATUS = {"516": 403, "60": 404, "81": 404, "159": 408, "241": 507}
NO_PASSWORD = (
    "Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or there is "
    "no user with such name. (AUTHENTICATION_FAILED)"
)


class Work:
    """The requests that are under way: at the end they are finished, and no other is begun."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._ending = False

    def __enter__(self) -> None:
        with self._changed:
            if self._ending:
                raise ConnectionAbortedError("the server ends")
            self._under_way += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.wait_for(lambda: not self._under_way)


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece, and at once
    disable_nagle_algorithm = True
    folder: str
    password: str
    work: "Work"

    def do_GET(self) -> None:
        self._answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        try:
            body = self._body()
            with self.work:
                self._do(body)
        except ConnectionError:  # who asked is gone, perhaps in the middle of asking
            self.close_connection = True

    def _do(self, body: bytes) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        content_type = self.headers.get("Content-Type", "")
        if content_type.startswith("multipart/form-data"):
            fields = _form(body, content_type)
            body = fields.pop("query", b"")
            given |= {name: value.decode() for name, value in fields.items()}
        user = self._user(given)
        if user != ("default", self.password):
            self._refuse(NO_PASSWORD.format(user=user[0]))
            return
        try:
            answer = self._run(given.pop("query", "").encode() + body, given)
        except Exception as error:  # noqa: BLE001 - whatever the engine says is for the client
            self._refuse(str(error))
        else:
            self._answer(200, answer)

    def _run(self, text: bytes, given: dict[str, str]) -> bytes:
        with Session(self.folder) as session:
            for name, value in given.items():
                if name not in TRANSPORT and not name.startswith("param_"):
                    session.query(f"set {name} = '{value}'")
            if database := given.get("database"):
                session.query(f"use `{database}`")
            if inserted := INSERT.match(text):
                return _insert(session, inserted, text[inserted.end() :])
            asked = FORMAT.search(text)
            shape = (
                asked.group(1).decode() if asked else given.get("default_format", "TabSeparated")
            )
            statement = text[: asked.start()] if asked else text
            values = {name[6:]: value for name, value in given.items() if name.startswith("param_")}
            statement = _without_replicas(statement)
            answer: bytes = session.query(statement.decode(), shape, params=values or None).bytes()
            return answer

    def _user(self, given: dict[str, str]) -> tuple[str, str]:
        kind, _, said = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            name, _, password = base64.b64decode(said).decode().partition(":")
            return name, password
        name = self.headers.get("X-ClickHouse-User") or given.get("user") or "default"
        return name, self.headers.get("X-ClickHouse-Key") or given.get("password") or ""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self._decoded(self._read(int(self.headers.get("Content-Length", 0))))
        parts = []
        while size := int(self._line(), 16):
            parts.append(self._read(size))
            self._line()
        self._line()
        return self._decoded(b"".join(parts))

    def _read(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionAbortedError("the request breaks off")
        return data

    def _line(self) -> bytes:
        line = self.rfile.readline()
        if not line.endswith(b"\n"):
            raise ConnectionAbortedError("the request breaks off")
        return line

    def _decoded(self, body: bytes) -> bytes:
        encoding = self.headers.get("Content-Encoding")
        assert encoding in {None, "lz4"}, encoding
        parts = []
        while encoding and body:  # a frame for every block
            frame = LZ4FrameDecompressor()
            parts.append(frame.decompress(body))
            body = frame.unused_data or b""
        return b"".join(parts) or body

    def _refuse(self, message: str) -> None:
        found = CODE.search(message)
        code = found.group(1) if found else "1002"
        self._answer(STATUS.get(code, 500), message.encode(), ("X-ClickHouse-Exception-Code", code))

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("X-ClickHouse-Timezone", "UTC")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


def _insert(session: Session, inserted: re.Match[bytes], data: bytes) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        into, shape = inserted.group(1).decode(), inserted.group(2).decode()
        session.query(f"{into} from infile '{file.name}' format {shape}")
    return b""


def _without_replicas(statement: bytes) -> bytes:
    """What a cluster does with it where there is one shard, and nobody to replicate to."""
    return REPLICATED.sub(rb"\1(", ON_CLUSTER.sub(b"", statement))


def _form(body: bytes, content_type: str) -> dict[str, bytes]:
    boundary = b"--" + content_type.partition("boundary=")[2].strip('"').encode()
    fields = {}
    for part in body.split(boundary)[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        assert name is not None
        fields[name.group(1).decode()] = value.removesuffix(b"\r\n")
    return fields


def main() -> None:
    folder, port = sys.argv[1:]
    Front.password = os.environ.get("FRONT_PASSWORD", "")
    Front.work = Work()
    Path(folder).mkdir(parents=True, exist_ok=True)
    config = Path(folder).with_suffix(".xml")
    config.write_text(CLUSTER)
    Front.folder = f"file:{folder}?config-file={config}"
    engine = Session(Front.folder)  # open for as long as the process runs
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Front)
    server.daemon_threads = True
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Thread(target=_end_with_the_parent, args=(server,), daemon=True).start()
    server.serve_forever(0.05)
    server.server_close()
    Front.work.end()
    engine.close()


def _end_with_the_parent(server: ThreadingHTTPServer) -> None:
    """The tests' end of the pipe closes when they end, however they end."""
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
