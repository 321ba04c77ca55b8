-- +goose Up
-- What synod keeps beyond the tables of Casper's sidecar, which ignores these.

-- One row: where numbering stands.
CREATE TABLE synod_head (
  only       INTEGER PRIMARY KEY CHECK (only = 1),
  next       INTEGER NOT NULL, -- the number of the next event, counted on beyond 32 bits
  events     INTEGER NOT NULL, -- stored through synod, less what retention removed
  bytes      INTEGER NOT NULL, -- of their JSON
  in_force   TEXT NOT NULL     -- the API version that subscribers saw last
);
INSERT INTO synod_head VALUES (1, 0, 0, 0, '');

-- Each event by its number. An event that has a row in event_log has its JSON there; others have it here.
CREATE TABLE synod_event (
  seq          INTEGER PRIMARY KEY,
  event_log_id INTEGER,
  kind         INTEGER NOT NULL,
  filter       TEXT NOT NULL,
  in_force     TEXT NOT NULL,
  bytes        INTEGER NOT NULL,
  tag          TEXT,
  body         BLOB
);

-- Where each stream of each node was read to.
CREATE TABLE synod_position (
  node     TEXT NOT NULL,
  filter   TEXT NOT NULL,
  event_id INTEGER NOT NULL,
  PRIMARY KEY (node, filter)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE synod_position;
DROP TABLE synod_event;
DROP TABLE synod_head;
