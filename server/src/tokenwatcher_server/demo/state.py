"""What a demonstration's data folder was loaded with, so that a second run goes on with it."""

from pathlib import Path

import msgspec

FILE_NAME = "demo.json"


class DemoState(msgspec.Struct, frozen=True):
    """`loaded` is False while history is being loaded.

    The same `events` and `end_us` give the same history, so a load that was interrupted is
    taken up again, and what it had stored is found to be there.
    """

    events: int
    end_us: int
    loaded: bool


def read_state(data_dir: Path) -> DemoState | None:
    try:
        return msgspec.json.decode((data_dir / FILE_NAME).read_bytes(), type=DemoState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_state(data_dir: Path, state: DemoState) -> None:
    path = data_dir / FILE_NAME
    unfinished = path.with_suffix(".new")
    unfinished.write_bytes(msgspec.json.encode(state))
    unfinished.replace(path)
