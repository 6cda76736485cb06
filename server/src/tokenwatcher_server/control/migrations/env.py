"""Runs the migrations on the connection that `control/migrate.py` gives."""

from alembic import context

from tokenwatcher_server.control.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
