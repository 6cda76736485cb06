"""The store makes its own Arrow buffers: it works where pyarrow is not installed."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio
import sys
from pathlib import Path

for name in ("pyarrow", "pandas", "polars"):
    sys.modules[name] = None  # importing it raises ImportError

from server.tests.faults.writes_until_killed import batch, question
from tokenwatcher_server.events.query import EventFilter
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.stores import open_store, rebuild_store


async def use(folder):
    store = await open_store(None, folder, SystemClock())
    await store.append([batch(7)])
    [[row]] = await store.usage([question()])
    events = await store.events(EventFilter(scope=question().scope, period=question().period))
    sound = (await store.verify()).sound
    await store.close()
    return row.values, len(events), sound


folder = Path(FOLDER)
print(asyncio.run(use(folder)), rebuild_store(folder, lambda *_: None))
"""


def test_everything_works_without_pyarrow(tmp_path: Path) -> None:
    program = PROGRAM.replace("FOLDER", repr(str(tmp_path / "data")))
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "((200, 1400, 1400), 50, True) 200"
