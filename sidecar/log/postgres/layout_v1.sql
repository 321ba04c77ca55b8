-- The tables of Casper's event sidecar 1.x, column for column, so that it can take the database over again.
CREATE TABLE "event_type" ("event_type_id" integer NOT NULL PRIMARY KEY, "event_type_name" varchar NOT NULL UNIQUE);
INSERT INTO "event_type" VALUES (1, 'BlockAdded'), (2, 'DeployAccepted'), (3, 'DeployExpired'), (4, 'DeployProcessed'),
  (5, 'Fault'), (6, 'FinalitySignature'), (7, 'Step'), (8, 'Shutdown');
CREATE TABLE "event_log" (
  "event_log_id" bigserial NOT NULL PRIMARY KEY, "event_type_id" smallint NOT NULL, "event_source_address" varchar NOT NULL,
  "event_id" bigint NOT NULL, "event_key" varchar NOT NULL,
  "inserted_timestamp" timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, "emitted_timestamp" timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "UDX_event_log" UNIQUE ("event_source_address", "event_id", "event_type_id", "event_key"),
  CONSTRAINT "FK_event_type_id" FOREIGN KEY ("event_type_id") REFERENCES "event_type" ("event_type_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "deploy_event" (
  "event_log_id" bigint NOT NULL, "deploy_hash" varchar NOT NULL, CONSTRAINT "PDX_DeployEvent" PRIMARY KEY ("deploy_hash", "event_log_id"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "DeployAccepted" (
  "deploy_hash" varchar NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL, CONSTRAINT "PDX_DeployAccepted" PRIMARY KEY ("deploy_hash"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "DeployProcessed" (
  "deploy_hash" varchar NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL, CONSTRAINT "PDX_DeployProcessed" PRIMARY KEY ("deploy_hash"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "DeployExpired" (
  "deploy_hash" varchar NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL, CONSTRAINT "PDX_DeployExpired" PRIMARY KEY ("deploy_hash"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
