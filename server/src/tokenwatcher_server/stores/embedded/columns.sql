-- What the columns file holds beside `events`, whose columns are listed in schema.py.

-- The layout of this file; another version is made anew from the journal.
create table about (version integer not null);

-- How far the journal has been applied, and the hash of that segment.
create table applied (sequence bigint not null, total bigint not null, hash blob not null);
insert into applied values (0, 0, from_hex(repeat('00', 32)));

-- Tag keys with a column of their own: `tag_<slot>`. Others are in the map `tags`. `summed` are
-- those with hourly sums in `tag_hours`, whose columns are listed in totals.py with those of `hours`.
create table tag_slots (key varchar not null, slot integer not null, summed boolean not null);
