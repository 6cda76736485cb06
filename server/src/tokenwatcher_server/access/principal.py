"""Who asks, and what they may see."""

import msgspec

from tokenwatcher_server.access.keys import Key
from tokenwatcher_server.access.sessions import Session
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.kernel.errors import not_found
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId


class Principal(msgspec.Struct, frozen=True):
    """A person with a session, a read key, or (where sign-in is off) whoever is at this machine.

    `session` is None for a key and where sign-in is off; `key` is None for a person.
    """

    scope: Scope
    session: Session | None = None
    key: Key | None = None

    @property
    def name(self) -> str:
        """Who it is, for the page and for the log."""
        if self.session is not None:
            return self.session.user.username
        return f"key {self.key.id}" if self.key is not None else "this machine"

    def may_change(self) -> bool:
        """A key only reads."""
        return self.key is None


def narrowed(scope: Scope, workspace_id: WorkspaceId | None, project_id: ProjectId | None) -> Scope:
    """The part of a scope that a request names; raises AppError (404) for what is outside.

    Whether a project exists is not told: one of another workspace simply has no events here.
    """
    if workspace_id is not None and workspace_id not in scope.workspaces:
        raise not_found("There is no such workspace in what you may see.")
    if project_id is not None and scope.projects is not None and project_id not in scope.projects:
        raise not_found("There is no such project in what you may see.")
    return Scope(
        workspaces=scope.workspaces if workspace_id is None else (workspace_id,),
        projects=scope.projects if project_id is None else (project_id,),
        environments=scope.environments,
    )
