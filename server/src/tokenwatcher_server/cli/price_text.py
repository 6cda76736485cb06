"""Prices and their arithmetic, as text for a terminal and as JSON for a script."""

from collections.abc import Sequence
from typing import Any

from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.money import usd_text
from tokenwatcher_server.pricing.custom import PER_MILLION, CustomPrice
from tokenwatcher_server.pricing.operations import Explanation
from tokenwatcher_server.pricing.price import CostLine
from tokenwatcher_server.pricing.rates import RateLine
from tokenwatcher_server.pricing.reprice import Repriced, UnpricedModel

_LEFT, _RIGHT = "left", "right"


def table(rows: Sequence[Sequence[str]], sides: Sequence[str]) -> list[str]:
    """Rows as lines with aligned columns, two spaces between them."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if side == _LEFT else cell.rjust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def dollars(amounts: Sequence[int]) -> list[str]:
    """Exact dollars with as many decimals as the finest of them needs, at least two."""
    texts = [usd_text(amount) for amount in amounts]
    decimals = max(2, *(len(text.partition(".")[2]) for text in texts), 2)
    padded = []
    for text in texts:
        whole, _, fraction = text.partition(".")
        sign = "-" if whole.startswith("-") else ""
        padded.append(f"{sign}${int(whole.lstrip('-')):,}.{fraction:0<{decimals}}")
    return padded


def day(instant_us: int) -> str:
    text = iso(instant_us)
    return text[:10] if text.endswith("T00:00:00.000000Z") else text


def explanation_text(found: Explanation) -> list[str]:
    """What a cost is made of: one product a line, and their sum."""
    cost = found.cost
    what = f"event {found.event_id}" if found.event_id else "a call"
    tier = f", {found.service_tier} tier" if found.service_tier else ""
    head = [f"{found.provider} {found.model}{tier} at {iso(found.occurred_at)} ({what})"]
    if cost.price_match:
        head.append(f"Price: {cost.price_match}")
    if found.rate_line is not None:
        head.append(f"       {provenance(found.rate_line)}")
    if cost.total is None:
        return [*head, "", f"Unpriced: {cost.unpriced_reason}"]
    if found.rate_line is None:
        return [*head, "", f"Total: ${usd_text(cost.total)}"]
    return [*head, "", *_arithmetic(found.lines, cost.total, cost.cache_savings)]


def provenance(line: RateLine) -> str:
    """Where a price comes from, and when it holds."""
    source = f"{line.source} {line.source_version}".strip()
    tier = f"{line.service_tier} tier"
    return f"{source}; {tier}; {validity(line)}; rate line {line.id}"


def validity(line: RateLine) -> str:
    words = []
    if line.valid_from is not None:
        words.append(f"from {day(line.valid_from)}")
    if line.valid_to is not None:
        words.append(f"until {day(line.valid_to)}")
    if line.daily is not None:
        start, end = (iso(instant)[11:16] for instant in line.daily)
        words.append(f"daily {start} to {end} UTC")
    return " ".join(words) or "whenever"


def _arithmetic(lines: Sequence[CostLine], total: int, savings: int | None) -> list[str]:
    amounts = dollars([*(line.amount for line in lines), total])
    rows = [
        (
            line.what,
            f"{line.quantity:,}",
            "×",
            *_unit_price(line),
            "=",
            amount,
            f"({line.why})" if line.why else "",
        )
        for line, amount in zip(lines, amounts[:-1], strict=True)
    ]
    rows.append(("total", "", "", "", "", "=", amounts[-1], ""))
    text = table(rows, (_LEFT, _RIGHT, _LEFT, _RIGHT, _LEFT, _LEFT, _RIGHT, _LEFT))
    if savings:
        text += ["", f"The cache saved ${usd_text(savings)}."]
    return text


def _unit_price(line: CostLine) -> tuple[str, str]:
    if line.unit == "token":
        return f"${usd_text(line.unit_price * PER_MILLION)}", "per 1M tokens"
    if line.unit == "ms of an hour":
        return f"${usd_text(line.unit_price)}", "per hour (of ms)"
    return f"${usd_text(line.unit_price)}", f"per {line.unit}"


def custom_prices_text(prices: Sequence[CustomPrice]) -> list[str]:
    if not prices:
        return ["No custom prices. Set one with `tokenwatcher prices set`."]
    rows: list[tuple[str, ...]] = [("ID", "PROVIDER", "MODEL", "FROM", "PRICE", "")]
    for price in prices:
        removed = "" if price.removed_at is None else f"removed {iso(price.removed_at)}"
        names = (price.id, price.provider, price.model_pattern)
        rows.append((*names, day(price.valid_from), rates_text(price), removed or price.note))
    return table(rows, (_LEFT,) * 6)


def rates_text(price: CustomPrice) -> str:
    """`input $2.50, output $10 per 1M tokens; $0.01 per request`."""
    parts = []
    if any(price.tokens.values()):
        rates = (f"{k} ${usd_text(rate * PER_MILLION)}" for k, rate in price.tokens.items())
        parts.append(f"{', '.join(rates)} per 1M tokens")
    parts += [f"{name} ${usd_text(rate)} per call" for name, rate in price.calls.items()]
    if price.per_request:
        parts.append(f"${usd_text(price.per_request)} per request")
    if price.per_hour:
        parts.append(f"${usd_text(price.per_hour)} per hour")
    tier = f" ({price.service_tier} tier only)" if price.service_tier else ""
    return ("; ".join(parts) or "free") + tier


def unpriced_text(models: Sequence[UnpricedModel]) -> list[str]:
    if not models:
        return ["Every event of that time has a cost."]
    rows: list[tuple[str, ...]] = [("EVENTS", "PROVIDER", "MODEL", "FIRST", "LAST", "WHY")]
    for found in models:
        days = (day(found.first_day), day(found.last_day))
        rows.append((f"{found.events:,}", found.provider, found.model, *days, found.reason or ""))
    return table(rows, (_RIGHT, *(_LEFT,) * 5))


def repriced_text(report: Repriced) -> list[str]:
    changed = [model for model in report.models if model.events]
    left = sum(model.unpriced for model in report.models)
    lines = []
    if changed:
        amounts = dollars([n for m in changed for n in (m.before, m.after, m.after - m.before)]
                          + [report.before, report.after, report.after - report.before])  # fmt: skip
        groups = [amounts[i : i + 3] for i in range(0, len(amounts), 3)]
        rows: list[tuple[str, ...]] = [
            ("EVENTS", "PROVIDER", "MODEL", "BEFORE", "AFTER", "DIFFERENCE")
        ]
        for model, group in zip(changed, groups, strict=False):
            rows.append((f"{model.events:,}", model.provider, model.model, *group))
        rows.append((f"{report.changed:,}", "total", "", *groups[-1]))
        lines = [*table(rows, (_RIGHT, _LEFT, _LEFT, _RIGHT, _RIGHT, _RIGHT)), ""]
    done = "would change" if report.dry_run else "changed"
    lines.append(
        f"{report.changed:,} of {report.examined:,} events {done}; {left:,} stay unpriced."
    )
    if report.dry_run and report.changed:
        lines.append("Nothing was stored: this was a dry run.")
    return lines


def custom_price_json(price: CustomPrice) -> dict[str, Any]:
    """Rates as exact dollars in text, in the units of the options."""
    return {
        "id": price.id,
        "provider": price.provider,
        "model": price.model_pattern,
        "validFrom": iso(price.valid_from),
        "usdPerMillionTokens": {k: usd_text(v * PER_MILLION) for k, v in price.tokens.items()},
        "usdPerCall": {name: usd_text(rate) for name, rate in price.calls.items()},
        "usdPerRequest": usd_text(price.per_request),
        "usdPerHour": usd_text(price.per_hour),
        "serviceTier": price.service_tier,
        "note": price.note,
        "removedAt": None if price.removed_at is None else iso(price.removed_at),
    }


def explanation_json(found: Explanation) -> dict[str, Any]:
    cost, line = found.cost, found.rate_line
    return {
        "eventId": found.event_id,
        "provider": found.provider,
        "model": found.model,
        "serviceTier": found.service_tier,
        "timestamp": iso(found.occurred_at),
        "priced": cost.total is not None,
        "unpricedReason": cost.unpriced_reason,
        "totalCost": None if cost.total is None else usd_text(cost.total),
        "cacheSavings": None if cost.cache_savings is None else usd_text(cost.cache_savings),
        "priceMatch": cost.price_match,
        "priceId": cost.price_id,
        "priceSource": None if line is None else f"{line.source} {line.source_version}".strip(),
        "priceValidity": None if line is None else validity(line),
        "lines": [
            {
                "what": part.what,
                "quantity": part.quantity,
                "unit": part.unit,
                "unitPriceUsd": usd_text(part.unit_price),
                "amountUsd": usd_text(part.amount),
                "why": part.why,
            }
            for part in found.lines
        ],
    }
