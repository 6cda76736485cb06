"""How the text of a variable becomes a value; a ValueError says what to write instead."""

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network

TRUE, FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})


def boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in TRUE:
        return True
    if lowered in FALSE:
        return False
    raise ValueError("use true or false")


def whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.strip().isascii() or not text.strip().isdigit():
            raise ValueError(f"use a whole number from {least} to {most}")
        number = int(text)
        if not least <= number <= most:
            raise ValueError(f"use a whole number from {least} to {most}")
        return number

    return parse


def environment(text: str) -> str:
    if text not in {"production", "development"}:
        raise ValueError("use production or development")
    return text


def log_format(text: str) -> str:
    if text not in {"json", "console"}:
        raise ValueError("use json or console")
    return text


def encryption(text: str) -> str:
    if text not in {"starttls", "tls", "none"}:
        raise ValueError("use starttls, tls or none")
    return text


def items(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def names(text: str) -> tuple[str, ...]:
    return tuple(name.lower() for name in items(text))


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part) for part in items(text))
    except ValueError:
        raise ValueError("use networks such as 10.1.0.0/16, separated by commas") from None


def ports(text: str) -> tuple[int, ...]:
    return tuple(map(whole(1, 65_535), items(text)))


def origin(text: str) -> str:
    return text.strip().removesuffix("/")


def words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def text(text: str) -> str:
    return text
