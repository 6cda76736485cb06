"""Where the time goes: looks at every thread many times a second and counts the functions.

Unlike a tracing profiler it sees threads and slows nothing down that matters; time in C code
counts for the line of Python that called it. A waiting thread is not counted.
"""

import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

SAMPLE_SECONDS = 0.004
SHOWN = 25
_DEPTH = 40
_WAITING = frozenset(
    {
        ("threading.py", "wait"),
        ("threading.py", "_wait_for_tstate_lock"),
        ("selectors.py", "select"),
        ("thread.py", "_worker"),
        ("queue.py", "get"),
        ("core.py", "_connection_worker_thread"),
    }
)


class Sampler:
    """Samples from `start` until `report`, which gives the findings as text."""

    def __init__(self) -> None:
        self._own: Counter[str] = Counter()
        self._whole: Counter[str] = Counter()
        self._samples = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def report(self) -> str:
        self._over.set()
        self._thread.join()
        if not self._samples:
            return "no samples"
        lines = ["  own   with callees  function (thread)"]
        for place, count in self._own.most_common(SHOWN):
            own = 100 * count / self._samples
            whole = 100 * self._whole[place] / self._samples
            lines.append(f"{own:5.1f} %     {whole:5.1f} %  {place}")
        return "\n".join(lines)

    def _run(self) -> None:
        own_ident = threading.get_ident()
        while not self._over.wait(SAMPLE_SECONDS):
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            self._samples += 1
            for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the only way
                if ident != own_ident:
                    self._count(frame, names.get(ident, "?").rstrip("0123456789-_"))

    def _count(self, frame: FrameType | None, thread: str) -> None:
        places: list[str] = []
        while frame is not None and len(places) < _DEPTH:
            file = Path(frame.f_code.co_filename)
            if not places and (file.name, frame.f_code.co_name) in _WAITING:
                return
            places.append(f"{file.parent.name}/{file.name}:{frame.f_code.co_name} ({thread})")
            frame = frame.f_back
        self._own[places[0]] += 1
        self._whole.update(set(places))
