-- The journal: what was acknowledged. Version 1.

-- One row a commit. `hash` is SHA-256 over the hash before it, this row and its body, so the
-- rows are a chain; `total` counts the events up to and with this row.
create table segments (
  sequence integer primary key,
  kind integer not null,
  rows integer not null,
  total integer not null,
  committed_at integer not null,
  hash blob not null,
  body blob not null
) strict;

create table workspaces (
  number integer primary key,
  id text not null unique
) strict;

-- What makes a duplicate or a conflict, and where an event is.
create table ids (
  workspace integer not null,
  id blob not null,
  digest blob not null,
  sequence integer not null,
  primary key (workspace, id)
) strict, without rowid;
