"""The points of the check-up about who gets in, and what a browser is told."""

from collections.abc import Iterator

from tokenwatcher_server.access.checkup import Facts, Point
from tokenwatcher_server.access.posture import dangers, is_loopback


def door_points(facts: Facts) -> Iterator[Point]:
    yield _sign_in(facts)
    yield _secrets(facts)
    yield _passwords(facts)
    yield _https(facts)
    yield _hosts(facts)
    yield _origins(facts)
    yield _policy(facts)
    yield _rate_limits(facts)


def _sign_in(facts: Facts) -> Point:
    settings = facts.settings
    title, why = "Sign-in", "Without it, whoever reaches the dashboard sees and changes everything."
    if settings.dashboard_auth_enabled:
        people = "nobody yet" if not facts.people else f"{facts.people} with an account"
        return Point(title, "good", f"on; {people}", why)
    mend = "DASHBOARD_AUTH_ENABLED=true"
    if is_loopback(settings.host):
        return Point(title, "warning", "off, for this machine alone", why, mend)
    return Point(title, "wrong", f"off, while listening on {settings.host}", why, mend)


def _secrets(facts: Facts) -> Point:
    why = "Who knows the secret that signs sessions and CSRF tokens can pass for anybody."
    weak = [
        danger
        for danger in dangers(facts.settings)
        if danger.variable not in {"DASHBOARD_AUTH_ENABLED", "DASHBOARD_PASSWORD"}
    ]
    if weak:
        names = ", ".join(danger.variable for danger in weak)
        mend = f"{weak[0].variable}=$(openssl rand -base64 48)"
        return Point("Secrets", "wrong", f"missing, too short or a sample: {names}", why, mend)
    given = facts.settings.dashboard_session_secret is not None
    found = "set by you" if given else "generated, in session.secret of the data folder"
    return Point("Secrets", "good", found, why)


def _passwords(facts: Facts) -> Point:
    title = "Passwords"
    why = "A password that many use is tried first, and one that is hashed badly is soon known."
    if any(danger.variable == "DASHBOARD_PASSWORD" for danger in dangers(facts.settings)):
        mend = "tokenwatcher users set-password admin, and unset DASHBOARD_PASSWORD"
        return Point(title, "wrong", "DASHBOARD_PASSWORD is weak or well known", why, mend)
    if any(kept and not kept.startswith("$argon2id$") for kept in facts.password_hashes):
        mend = "tokenwatcher users set-password NAME"
        return Point(title, "wrong", "some are not hashed with Argon2id", why, mend)
    return Point(title, "good", "each hashed with Argon2id; common ones are refused", why)


def _https(facts: Facts) -> Point:
    settings, title = facts.settings, "HTTPS"
    why = "On the way, passwords, keys and events can otherwise be read by others."
    public = settings.public_url or ""
    if public.startswith("https://") and settings.trusted_proxies:
        return Point(title, "good", f"at {public}, by a proxy you trust", why)
    if public.startswith("https://"):
        mend = "TRUSTED_PROXIES=ADDRESS of the proxy, which then must set X-Forwarded-Proto"
        found = "no proxy is trusted, so cookies are not marked as secure and HSTS is not sent"
        return Point(title, "warning", found, why, mend)
    if not public and is_loopback(settings.host) and not settings.trusted_proxies:
        return Point(title, "good", "not needed: only this machine is served", why)
    mend = "put a proxy with a certificate before it, PUBLIC_URL=https://..., TRUSTED_PROXIES=..."
    found = f"people come by {public}" if public else "PUBLIC_URL names no https:// address"
    return Point(title, "warning", found, why, mend)


def _hosts(facts: Facts) -> Point:
    settings = facts.settings
    why = "A foreign name that points here would make a foreign page count as the same site."
    names = [name for name in (settings.public_url, *settings.allowed_hosts) if name]
    wide = [name for name in settings.allowed_hosts if name.startswith("*.")]
    found = "addresses, localhost" + "".join(f", {name}" for name in names)
    if wide:
        return Point("Names", "warning", f"every name below {wide[0][2:]} is taken", why,
                     "ALLOWED_HOSTS=the names themselves")  # fmt: skip
    return Point("Names", "good", found, why)


def _origins(facts: Facts) -> Point:
    origins, title = facts.settings.ingest_allowed_origins, "Allowed origins"
    why = "Pages of these sites may send events; a key in a page is known to all its visitors."
    mend = "INGEST_ALLOWED_ORIGINS=https://app.example.com"
    if "*" in origins:
        return Point(title, "wrong", "pages of every site", why, mend)
    plain = [one for one in origins if one.startswith("http://") and not _is_here(one)]
    if plain:
        return Point(title, "warning", f"{plain[0]} is not encrypted", why, mend)
    return Point(title, "good", ", ".join(origins) if origins else "none", why)


def _is_here(origin: str) -> bool:
    return is_loopback(origin.removeprefix("http://").partition(":")[0])


def _policy(facts: Facts) -> Point:
    settings, title = facts.settings, "Content security policy"
    why = "It keeps a script that was smuggled into a page from running, and from calling home."
    if settings.csp_report_only:
        return Point(title, "warning", "only reports, blocks nothing", why, "CSP_REPORT_ONLY=false")
    reported = f"; {facts.violations} violations reported" if facts.violations else ""
    if settings.csp_connect_src:
        allowed = " ".join(settings.csp_connect_src)
        return Point(title, "good", f"blocks; pages may also connect to {allowed}{reported}", why)
    return Point(title, "good", f"blocks whatever is not our own{reported}", why)


def _rate_limits(facts: Facts) -> Point:
    settings, title = facts.settings, "Rate limits"
    why = "Without them one sender, or one who guesses keys, can use up the server for all."
    most = f"{settings.ingest_rate_limit_max_requests:,} requests of a key"
    window = f"in {settings.ingest_rate_limit_window_seconds} s"
    if not settings.ingest_rate_limit_enabled:
        return Point(title, "warning", "off", why, "INGEST_RATE_LIMIT_ENABLED=true")
    if settings.redis_url:
        return Point(title, "good", f"{most} {window}, counted for all servers in Redis", why)
    if settings.database_url and not settings.database_url.startswith("sqlite"):
        found = f"{most} {window}, by each server for itself: several admit a multiple"
        return Point(title, "warning", found, why, "REDIS_URL=redis://HOST:6379/0")
    return Point(title, "good", f"{most} {window}, counted by this one server", why)
