-- +goose Up
-- What synod keeps beyond the tables of Casper's sidecar, which ignores these.

-- Each sidecar on this database, and where its numbering stands.
CREATE TABLE synod_instance (
  instance integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name     text NOT NULL UNIQUE,
  next     bigint NOT NULL, -- the number of its next event, counted on beyond 32 bits
  adopted  bigint NOT NULL, -- rows of event_log up to here were there before it
  events   bigint NOT NULL DEFAULT 0, -- stored through it, less what retention removed
  bytes    bigint NOT NULL DEFAULT 0, -- of their JSON
  in_force text NOT NULL DEFAULT ''   -- the API version that its subscribers saw last
);

-- Each event by the number that a sidecar gave it. An event that has a row in event_log has its JSON there, once for all
-- sidecars; others have it here.
CREATE TABLE synod_event (
  instance     integer NOT NULL,
  seq          bigint NOT NULL,
  event_log_id bigint,
  kind         smallint NOT NULL,
  filter       text NOT NULL,
  in_force     text NOT NULL,
  bytes        integer NOT NULL,
  tag          text,
  body         bytea,
  PRIMARY KEY (instance, seq)
);
CREATE UNIQUE INDEX synod_event_log ON synod_event (event_log_id, instance);

-- Where each stream of each node was read to.
CREATE TABLE synod_position (
  instance integer NOT NULL,
  node     text NOT NULL,
  filter   text NOT NULL,
  event_id bigint NOT NULL,
  PRIMARY KEY (instance, node, filter)
);

-- +goose Down
DROP TABLE synod_position;
DROP TABLE synod_event;
DROP TABLE synod_instance;
