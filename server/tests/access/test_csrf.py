"""CSRF tokens hold for their own session alone."""

import pytest

from tokenwatcher_server.access import csrf


def test_a_csrf_token_holds_for_its_session_alone() -> None:
    secret = b"s" * 32
    token = csrf.make_token(secret, "session a")
    assert csrf.is_valid(secret, "session a", token)
    assert not csrf.is_valid(secret, "session b", token)
    assert not csrf.is_valid(b"t" * 32, "session a", token)


@pytest.mark.parametrize(
    "token",
    [None, "", ".", "null", "é" * 64, "\udce9" * 64, "x" * 1_000_000, "nonce.", ".sig", "a.b.c"],
)
def test_a_token_of_any_other_form_is_refused_without_an_error(token: str | None) -> None:
    assert not csrf.is_valid(b"s" * 32, "session", token)
