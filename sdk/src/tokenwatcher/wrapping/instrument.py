"""Every client of every supported library in the process, those imported later included.

The classes of a library are patched when it is here, else in the moment it has been imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from tokenwatcher.begun import Recording
from tokenwatcher.wrapping.intercept import interception
from tokenwatcher.wrapping.provider import Method
from tokenwatcher.wrapping.registry import providers


def instrument(recording: Recording) -> None:
    """Record every call of the process; a second call only changes who records."""
    running = _running()
    if running is not None:
        running.recording = None if recording.settings.disabled else recording
        return
    if recording.settings.disabled:
        return
    instrumentation = Instrumentation(recording)
    sys.meta_path.insert(0, instrumentation)
    for name in instrumentation.modules:
        module = sys.modules.get(name)
        if module is not None:
            instrumentation.patch(module)


def uninstrument() -> None:
    """Undo what `instrument` did."""
    running = _running()
    if running is not None:
        sys.meta_path.remove(running)
        running.undo()


def _running() -> Instrumentation | None:
    return next((one for one in sys.meta_path if isinstance(one, Instrumentation)), None)


class Instrumentation:
    """What is patched and is to be patched: a finder of modules that waits for its libraries."""

    def __init__(self, recording: Recording) -> None:
        self.recording: Recording | None = recording
        self.modules: dict[str, list[Method]] = {}
        self._patched: list[tuple[type, str, Any, Any]] = []
        for provider in providers():
            for method in provider.methods:
                self.modules.setdefault(method.module, []).append(method)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a library's module as the others find it, and see to it that it gets patched."""
        if name not in self.modules:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = None if finder is self or find is None else find(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _PatchingLoader(spec.loader, self)
                return spec  # type: ignore[no-any-return]  # a finder gives a spec
        return None

    def patch(self, module: ModuleType) -> None:
        """Patch the classes of a module that has been imported; never raises."""
        recording = self.recording
        for method in self.modules[module.__name__]:
            try:
                self._patch(getattr(module, method.class_name, None), method)
            except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
                if recording is not None:
                    recording.swallow(error)

    def _patch(self, owner: type | None, method: Method) -> None:
        original = None if owner is None else vars(owner).get(method.name)
        if owner is None or original is None:
            return  # not every version of a library has it
        ours = interception(method, original, self)
        setattr(owner, method.name, ours)
        self._patched.append((owner, method.name, original, ours))

    def undo(self) -> None:
        """Put back the originals; where another has patched over ours, ours goes silent."""
        self.recording = None
        for owner, name, original, ours in self._patched:
            if vars(owner).get(name) is ours:
                setattr(owner, name, original)


class _PatchingLoader:
    """Loads a module as its own loader does, then has it patched."""

    def __init__(self, loader: Any, instrumentation: Instrumentation) -> None:
        self._loader = loader
        self._instrumentation = instrumentation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        loader = self._loader
        module.__loader__ = loader
        if module.__spec__ is not None:
            module.__spec__.loader = loader
        loader.exec_module(module)
        self._instrumentation.patch(module)
