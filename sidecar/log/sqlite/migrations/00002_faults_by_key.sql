-- +goose Up
-- Faults are looked up by validator, for which Casper's key on (era, public_key) is of no use. Casper's sidecar takes no notice of it.
CREATE INDEX IF NOT EXISTS synod_fault_by_key ON "Fault" (public_key);

-- +goose Down
DROP INDEX synod_fault_by_key;
