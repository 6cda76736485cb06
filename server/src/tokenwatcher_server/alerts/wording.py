"""An alert in words, for people."""

from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.kernel.money import picodollars
from tokenwatcher_server.usage.text import count, money

WHAT = {
    "daily_cost": "spend today",
    "hourly_cost": "spend this hour",
    "weekly_cost": "spend this week",
    "monthly_cost": "spend this month",
    "cost_forecast": "spend this month at its present pace",
    "cost_anomaly": "spend this hour beyond what is usual",
    "daily_tokens": "tokens today",
    "model_daily_cost": "spend on the model today",
    "user_daily_cost": "spend of one user today",
    "tag_cost": "spend by tag today",
    "error_rate": "failed calls in the last hour",
    "latency_p95": "p95 latency in the last hour",
    "unpriced_events": "events without a price today",
    "prompt_growth": "growth of the median prompt today",
}


def headline(alert: Alert) -> str:
    """`Chat budget: spend today is $12.50 of $10.00 (gpt-4o)`."""
    about = ", ".join(filter(None, (alert.subject, alert.provider, alert.model)))
    said = "is back to" if alert.state == "resolved" else "is"
    value, threshold = amount(alert.value, alert.unit), amount(alert.threshold, alert.unit)
    text = f"{alert.rule_name}: {WHAT[alert.type]} {said} {value} of {threshold}"
    text += f" ({about})" if about else ""
    text += f", and so for {count(alert.others)} more" if alert.others else ""
    text += ", in the window that has just ended" if alert.late else ""
    return f"[test] {text}" if alert.state == "test" else text


def amount(text: str, unit: str) -> str:
    """An amount with the digits that matter: `$1,971.86`, `1,250 tokens`, `0.44 %`."""
    if unit == "usd":
        return money(picodollars(text))
    if unit in {"tokens", "events"}:
        return count(int(text)) + (" tokens" if unit == "tokens" else "")
    return f"{text} %" if unit == "percent" else f"{text} ms"
