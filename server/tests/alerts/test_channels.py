"""What each channel is sent: whole, in words, and with no power for a stranger's name."""

import json
from typing import Any

import pytest

from tokenwatcher_server.alerts.alert import Alert, AlertState, alert_of
from tokenwatcher_server.alerts.channels import KINDS
from tokenwatcher_server.alerts.channels.channel import Channel
from tokenwatcher_server.alerts.rule import RULE_TYPES, WATCHED, Rule
from tokenwatcher_server.alerts.signing import new_secret
from tokenwatcher_server.alerts.wording import amount, headline
from tokenwatcher_server.outbound.mail import Letter

INTEGRATION_KEY = "0123456789abcdef0123456789ABCDEF"
HOSTILE = "@everyone <!channel> [click](https://evil.example)" + "x" * 4_000


def alert(**changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "id": "0198c0de-0000-7000-8000-0000000000aa",
        "rule_id": "rule",
        "rule_name": "Chat budget",
        "type": "daily_cost",
        "state": "triggered",
        "threshold": "10",
        "value": "12.5",
        "unit": "usd",
        "workspace_id": "w",
        "workspace_name": "Company",
        "project_id": None,
        "provider": None,
        "model": "gpt-4o",
        "subject": None,
        "triggered_at": 1_800_000_000_000_000,
    }
    return Alert(**fields | changes)


def sent(kind: str, told: Alert, page: str | None = "https://tw.example/alerts") -> Any:
    secrets = {"webhook": (new_secret(),), "pagerduty": (INTEGRATION_KEY,)}.get(kind, ())
    channel = Channel(
        id="c", kind=kind, name="c", url="https://x.example", secrets=secrets, page=page
    )
    message = KINDS[kind](told, channel, 1_800_000_000)
    if isinstance(message, Letter):
        return [message.subject, message.text, message.html]
    assert message.headers["Content-Type"] == "application/json"
    return json.loads(message.body)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", ["triggered", "resolved", "test"])
def test_every_channel_tells_every_state(kind: str, state: AlertState) -> None:
    text = json.dumps(sent(kind, alert(state=state)))
    assert "Chat budget" in text
    assert "12.5" in text


@pytest.mark.parametrize("kind", ["slack", "discord", "teams", "email", "pagerduty"])
def test_people_are_led_back_only_where_the_server_knows_its_address(kind: str) -> None:
    assert "https://tw.example/alerts" in json.dumps(sent(kind, alert()))
    assert "https://" not in json.dumps(sent(kind, alert(), page=None))


def test_a_hostile_name_mentions_nobody_and_fits() -> None:
    told = alert(subject=HOSTILE)
    discord = sent("discord", told)
    assert discord["allowed_mentions"] == {"parse": []}
    assert len(discord["embeds"][0]["title"]) <= 256
    slack = sent("slack", told)
    assert "<!channel>" not in json.dumps(slack)
    assert len(slack["blocks"][0]["text"]["text"]) <= 3_000
    card = sent("teams", told)["attachments"][0]["content"]
    assert {line["type"] for line in card["body"]} == {"RichTextBlock"}


def test_a_budget_of_one_tag_value_names_it() -> None:
    rule = Rule(id="r", workspace_id="w", project_id=None, name="Chat", type="tag_cost",
                threshold=10**13, tag_key="team", tag_value="search")  # fmt: skip
    said = headline(alert_of(rule, "Company", "triggered", 10**13, 10**13, 0))
    assert said == "Chat: spend by tag today is $10.00 of $10.00 (search)"


def test_how_many_more_passed_is_said_by_every_channel() -> None:
    for kind in sorted(KINDS.keys() - {"webhook"}):
        assert "and so for 1,234 more" in json.dumps(sent(kind, alert(others=1_234))), kind
    assert sent("webhook", alert(others=1_234))["others"] == 1_234


@pytest.mark.parametrize("rule_type", RULE_TYPES)
def test_every_type_has_words(rule_type: str) -> None:
    unit = WATCHED[rule_type].unit  # type: ignore[index]
    said = headline(alert(type=rule_type, unit=unit, value="12", subject="ann"))
    assert said.startswith("Chat budget: ")
    assert said.endswith("(ann, gpt-4o)")


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        ("1971.856351985", "usd", "$1,971.86"),
        ("0.0000312", "usd", "$0.0000312"),
        ("1234567", "tokens", "1,234,567 tokens"),
        ("21", "events", "21"),
        ("0.44", "percent", "0.44 %"),
        ("1500", "ms", "1500 ms"),
    ],
)
def test_an_amount_has_the_digits_that_matter(text: str, unit: str, said: str) -> None:
    assert amount(text, unit) == said
