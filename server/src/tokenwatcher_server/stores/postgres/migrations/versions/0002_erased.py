"""What was erased as a person's is known again when it is sent once more."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # hashes of ids and of fingerprints, and nothing else of what was erased
    op.execute(
        "create table event_erased (mark bytea not null,"
        " constraint pk_event_erased primary key (mark))"
    )
