"""Every URL on one page. The two ingest routes are raw handlers: see `ingest_endpoint.py`."""

from tokenwatcher_server.web.api import (
    account,
    admin,
    alert_channels,
    alert_deliveries,
    alert_preview,
    alerts,
    audit,
    auth,
    events,
    health,
    invitations,
    keys,
    local,
    members,
    openapi,
    projects,
    query,
    stats,
    workspaces,
)
from tokenwatcher_server.web.pages import account as account_page
from tokenwatcher_server.web.pages import (
    alert_editor,
    assets,
    event,
    explore,
    invitation,
    login,
    models,
    oidc,
    overview,
    prices,
    reference,
    security,
    settings,
    start,
    theme,
    users,
)
from tokenwatcher_server.web.pages import alerts as alerts_page
from tokenwatcher_server.web.pages import audit as audit_page
from tokenwatcher_server.web.pages import events as events_list
from tokenwatcher_server.web.pages import keys as keys_page
from tokenwatcher_server.web.pages import members as members_page
from tokenwatcher_server.web.pages import projects as projects_page

ROUTES = (
    # pages
    *overview.ROUTES,
    *explore.ROUTES,
    *events_list.ROUTES,
    *event.ROUTES,
    *users.ROUTES,
    *models.ROUTES,
    *alerts_page.ROUTES,
    *alert_editor.ROUTES,
    *projects_page.ROUTES,
    *keys_page.ROUTES,
    *prices.ROUTES,
    *members_page.ROUTES,
    *invitation.ROUTES,
    *audit_page.ROUTES,
    *account_page.ROUTES,
    *settings.ROUTES,
    *reference.ROUTES,
    *security.ROUTES,
    *start.ROUTES,
    *theme.ROUTES,
    *login.ROUTES,
    *oidc.ROUTES,
    *assets.ROUTES,
    # usage, for a session or a read key
    *stats.ROUTES,
    *query.ROUTES,
    *events.ROUTES,
    # the door
    *auth.ROUTES,
    *account.ROUTES,
    # control data
    *workspaces.ROUTES,
    *projects.ROUTES,
    *keys.ROUTES,
    *members.ROUTES,
    *invitations.ROUTES,
    # alerts
    *alerts.ROUTES,
    *alert_preview.ROUTES,
    *alert_channels.ROUTES,
    *alert_deliveries.ROUTES,
    # operations
    *audit.ROUTES,
    *admin.ROUTES,
    *health.ROUTES,
    *openapi.ROUTES,
    *local.ROUTES,
)
