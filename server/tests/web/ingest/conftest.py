"""Keys of the shared instance, and a client with one."""

from typing import Any

import pytest


@pytest.fixture(scope="module")
def key(instance: Any) -> str:
    raw: str = instance.key()
    return raw


@pytest.fixture(scope="module")
def reader(instance: Any) -> str:
    raw: str = instance.key("--kind", "read")
    return raw


@pytest.fixture
def client(instance: Any, key: str) -> Any:
    with instance.client(key) as opened:
        yield opened
