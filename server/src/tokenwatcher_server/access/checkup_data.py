"""The points of the check-up about keys, what is stored, and where."""

from collections.abc import Iterator
from shlex import quote
from urllib.parse import parse_qs, urlsplit

from tokenwatcher_server.access.checkup import Facts, Point
from tokenwatcher_server.access.keys import KeyRecord
from tokenwatcher_server.access.posture import is_loopback
from tokenwatcher_server.access.verifier import can_be_fallback
from tokenwatcher_server.kernel.clock import DAY_US, HOUR_US

OLD_US = 365 * DAY_US
UNUSED_US = 90 * DAY_US
SOON_US = 14 * DAY_US
BACKUP_US = 7 * DAY_US
BACKUP_MARK = "last-backup"
_MENTIONED = 3


def data_points(facts: Facts) -> Iterator[Point]:
    yield _keys(facts)
    yield _fallback(facts)
    yield _key_age(facts)
    yield _key_scope(facts)
    yield _prompts(facts)
    yield _cost_override(facts)
    yield _database(facts)
    yield _database_tls(facts)
    yield _backup(facts)
    yield _files(facts)
    yield _versions(facts)


def _holding(facts: Facts) -> list[KeyRecord]:
    return [key for key in facts.keys if key.ended_at(facts.now_us) is None]


def _named(keys: list[KeyRecord]) -> str:
    names = [f"{key.name} ({key.key_prefix}…)" for key in keys[:_MENTIONED]]
    more = len(keys) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _keys(facts: Facts) -> Point:
    why = "A key that nobody needs any more is one more that can be lost."
    held = _holding(facts)
    unused = [
        key for key in held if facts.now_us - (key.last_used_at or key.created_at) > UNUSED_US
    ]
    if unused:
        found = f"{len(held)} can be used; not used for 90 days: {_named(unused)}"
        return Point("API keys in use", "warning", found, why, "tokenwatcher keys revoke KEY")
    return Point("API keys in use", "good", f"{len(held)} can be used" if held else "none", why)


def _fallback(facts: Facts) -> Point:
    title, raw = "Key in the environment", facts.settings.fallback_key
    why = "It never expires, is for every project, and whoever reads the environment has it."
    if raw is None:
        return Point(title, "good", "none", why)
    if not can_be_fallback(raw):
        return Point(title, "good", "TOKENWATCHER_API_KEY is set, but not taken as a key", why)
    found = "TOKENWATCHER_API_KEY may send events to the default workspace"
    if facts.settings.environment != "production":
        return Point(title, "good", f"{found}, for development", why)
    mend = "tokenwatcher keys create --project SLUG, then unset TOKENWATCHER_API_KEY"
    return Point(title, "warning", found, why, mend)


def _key_age(facts: Facts) -> Point:
    title = "Age of keys"
    why = "The longer a key is about, the more places hold a copy of it."
    held = [key for key in _holding(facts) if key.replaced_by is None]
    ending = [key for key in held if key.expires_at and key.expires_at - facts.now_us < SOON_US]
    old = [key for key in held if facts.now_us - key.created_at > OLD_US]
    mend = "tokenwatcher keys rotate KEY"
    if ending:
        return Point(title, "warning", f"expire in 14 days: {_named(ending)}", why, mend)
    if old:
        return Point(title, "warning", f"older than a year: {_named(old)}", why, mend)
    return Point(title, "good", "none is older than a year" if held else "no keys", why)


def _key_scope(facts: Facts) -> Point:
    title = "Scope of keys"
    why = "A key for a whole workspace can put costs on any project; one for a project can't."
    wide = [key for key in _holding(facts) if key.project_id is None and key.kind != "read"]
    if not wide:
        return Point(title, "good", "each that sends does so to one project alone", why)
    mend = "tokenwatcher keys create --project SLUG for each, then tokenwatcher keys revoke KEY"
    return Point(title, "warning", f"for every project: {_named(wide)}", why, mend)


def _prompts(facts: Facts) -> Point:
    why = "Prompts hold what people wrote; what is not stored can't be lost or asked for."
    if not facts.settings.store_prompts:
        return Point("Prompt storage", "good", "off: prompts and completions are discarded", why)
    mend = "STORE_PROMPTS=false"
    return Point("Prompt storage", "warning", "on: kept as long as each workspace says", why, mend)


def _cost_override(facts: Facts) -> Point:
    title, why = "Cost override", "Who sends events could otherwise write any cost they like."
    if not facts.settings.allow_ingest_cost_override:
        return Point(title, "good", "off: every cost is computed here", why)
    found = "on: a client's own cost is taken"
    return Point(title, "warning", found, why, "ALLOW_INGEST_COST_OVERRIDE=false")


def _database(facts: Facts) -> Point:
    why = "Keys, people and prices are there: while it is away, nobody can sign in."
    if facts.database_answers is None:
        return Point("Control database", "good", "made at the first start", why)
    if facts.database_answers:
        return Point("Control database", "good", "answers", why)
    mend = "DATABASE_URL, or the permissions of the data folder; the server's log says why"
    return Point("Control database", "wrong", "does not answer", why, mend)


def _database_tls(facts: Facts) -> Point:
    title, why = "Way to the database", "Hashes of passwords and keys would cross the network open."
    url = facts.settings.database_url
    if url is None or url.startswith("sqlite"):
        return Point(title, "good", "a file in the data folder: no network", why)
    parts = urlsplit(url)
    chosen = {value for name in ("ssl", "sslmode") for value in parse_qs(parts.query).get(name, ())}
    if chosen & {"require", "verify-ca", "verify-full", "true"}:
        return Point(title, "good", "encrypted", why)
    if parts.hostname is None or is_loopback(parts.hostname):
        return Point(title, "good", "on this machine", why)
    mend = "DATABASE_URL=...?sslmode=verify-full"
    return Point(title, "warning", f"may be open to {parts.hostname}", why, mend)


def _backup(facts: Facts) -> Point:
    why = "A disk that dies takes every event with it that no other has."
    folder = quote(str(facts.settings.data_dir))
    mend = f"tokenwatcher backup DIR --data-dir {folder}, as often as you can spare what is since"
    if facts.backed_up_at is None:
        return Point("Backup", "warning", f"none is known: there is no {BACKUP_MARK}", why, mend)
    age = facts.now_us - facts.backed_up_at
    told = f"{age // DAY_US} days ago" if age >= 2 * DAY_US else f"{age // HOUR_US} hours ago"
    if age > BACKUP_US:
        return Point("Backup", "warning", f"the last was {told}", why, mend)
    return Point("Backup", "good", f"the last was {told}", why)


def _files(facts: Facts) -> Point:
    title, mend = "File permissions", f"chmod -R go= {quote(str(facts.settings.data_dir))}"
    why = "Other accounts of this machine could otherwise read secrets, or change what is stored."
    open_ = [file for file in facts.files if file.mode & 0o077]
    writable = [file for file in open_ if file.mode & 0o022]
    if writable or any(file.path.endswith(".secret") for file in open_):
        found = f"open to others: {', '.join(file.path for file in (writable or open_)[:3])}"
        return Point(title, "wrong", found, why, mend)
    if open_:
        found = f"readable by others: {', '.join(file.path for file in open_[:_MENTIONED])}"
        return Point(title, "warning", found, why, mend)
    if facts.runs_as_root:
        why = "A hole in the server would then be a hole in the whole machine."
        found = "the owner's alone, but the server runs as root"
        return Point(title, "warning", found, why, "run it as a user of its own")
    return Point(title, "good", "the owner's alone", why)


def _versions(facts: Facts) -> Point:
    why = "Holes that are found are closed in newer versions only."
    found = ", ".join(f"{name} {version}" for name, version in facts.versions)
    return Point("Versions", "good", found, why)
