"""The player of exchanges, and the clients that call it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest

from sdk.tests.recorded.drivers import DRIVERS
from sdk.tests.recorded.drivers.driver import Driver
from sdk.tests.recorded.exchanges import load_all
from sdk.tests.recorded.player import Player


class Clients:
    """One bare and one wrapped client for each address, made when first asked for."""

    def __init__(self, loop: asyncio.Runner) -> None:
        self.loop = loop
        self._made: dict[tuple[str, str, bool, str], Any] = {}

    def of(self, driver: Driver, exchange: Any, use: str, *, asynchronous: bool) -> Any:
        address = driver.address(exchange)
        key = (driver.name, address, asynchronous, use)
        if key not in self._made:
            self._made[key] = driver.connect(address, asynchronous)
        return self._made[key]


@pytest.fixture(scope="session")
def player() -> Iterator[Player]:
    playing = Player()
    yield playing
    playing.stop()


@pytest.fixture(scope="session")
def clients() -> Iterator[Clients]:
    with asyncio.Runner() as loop:
        yield Clients(loop)


@pytest.fixture(scope="session")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single certificate: reading all that there are takes longer than anything else here."""
    end = "-----END CERTIFICATE-----\n"
    path = tmp_path_factory.mktemp("authorities") / "one.pem"
    path.write_text(certifi.contents().partition(end)[0] + end)
    return path


@pytest.fixture(autouse=True)
def by_proxy(player: Player, one_authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every client that is made here ask the player, whatever the address."""
    monkeypatch.setenv("SSL_CERT_FILE", str(one_authority))
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, player.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each exchange and each library whose client can receive it."""
    if {"exchange", "driver"} <= set(metafunc.fixturenames):
        cases = [
            (exchange, driver)
            for exchange in load_all().values()
            for driver in DRIVERS
            if driver.receives(exchange)
            and (driver.asynchronous or "asynchronously" not in metafunc.function.__name__)
        ]
        metafunc.parametrize(
            ("exchange", "driver"),
            cases,
            ids=[f"{exchange['name']}-{driver.name}" for exchange, driver in cases],
        )
