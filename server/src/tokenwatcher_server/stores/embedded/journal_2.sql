-- The journal, version 2: what was erased.

-- Erasures and repricings are few among many segments, and are looked for by themselves.
create index special_segments on segments (sequence) where kind <> 1;

-- Hashes of the ids and of the providers' answers of a person's removed events: an event that is
-- sent again is known by them, and nothing else is.
create table erased (
  mark blob primary key
) strict, without rowid;

-- The erasure that was begun and is not finished; a start goes on with it.
create table pending (
  erasure blob not null
) strict;
