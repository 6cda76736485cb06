"""Who asks, what they may see, and what they may do there."""

from collections.abc import Iterable, Mapping
from typing import Self

import msgspec

from tokenwatcher_server.access.keys import Key
from tokenwatcher_server.access.roles import KEY_RIGHTS, LEAST, Right, Role, allows
from tokenwatcher_server.access.sessions import Session
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.kernel.errors import AppError, Kind, not_found
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A person with a session, a read key, or (where sign-in is off) whoever is at this machine.

    `session` is None for a key and where sign-in is off; `key` is None for a person, and
    `roles` has a person's role in each workspace of the scope.
    """

    scope: Scope
    roles: Mapping[WorkspaceId, Role] = {}
    owns_instance: bool = False
    session: Session | None = None
    key: Key | None = None
    right: Right = "usage.see"
    """What they came for: the right that the route takes."""

    @property
    def name(self) -> str:
        """Who it is, for the page and for the log."""
        if self.session is not None:
            return self.session.user.username
        return f"key {self.key.id}" if self.key is not None else "this machine"

    def may(self, right: Right, workspace_id: WorkspaceId | None = None) -> bool:
        """Whether they hold a right in this workspace; without one, in any, or in the instance."""
        if self.key is not None:
            return right in KEY_RIGHTS and workspace_id in {None, self.key.workspace_id}
        if self.owns_instance or LEAST[right] == "anybody":
            return True
        if workspace_id is None:
            return any(allows(role, right) for role in self.roles.values())
        role = self.roles.get(workspace_id)
        return role is not None and allows(role, right)

    def coming_for(self, right: Right) -> Self:
        """The same, as they come to a route that takes this right.

        Raises AppError (403) where it takes the whole instance, or a person. Whether a right is
        held in a workspace is told by `check`, once it is known which workspace it is about.
        """
        of_instance = LEAST[right] in {"instance", "anybody"}
        if not self.may(right) and (of_instance or self.key is not None):
            raise self._refused(right)
        return msgspec.structs.replace(self, right=right)

    def check(self, workspace_id: WorkspaceId, right: Right | None = None) -> None:
        """Raise AppError: 404 for a workspace they don't see, 403 where their role is too low."""
        if workspace_id not in self.scope.workspaces:
            raise not_found("There is no such workspace in what you may see.")
        if not self.may(right or self.right, workspace_id):
            raise self._refused(right or self.right)

    def check_all(self, workspaces: Iterable[WorkspaceId], right: Right) -> None:
        for workspace_id in workspaces:
            self.check(workspace_id, right)

    def holding(self) -> tuple[WorkspaceId, ...]:
        """The workspaces where they hold what they came for; raises AppError (403) for none."""
        found = tuple(one for one in self.scope.workspaces if self.may(self.right, one))
        if not found and not self.owns_instance:
            raise self._refused(self.right)
        return found

    def _refused(self, right: Right) -> AppError:
        if self.key is not None:
            return AppError(Kind.FORBIDDEN, "WRONG_KEY_KIND", "A read key reads usage alone.")
        least = LEAST[right]
        needed = "owning the instance" if least == "instance" else f"the role {least} or a higher"
        return AppError(Kind.FORBIDDEN, "ROLE_TOO_LOW", f"This takes {needed}.")


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
