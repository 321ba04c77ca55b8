-- What the releases 1.x and 2.x have in common.
CREATE TABLE "BlockAdded" (
  "height" bigint NOT NULL UNIQUE, "block_hash" varchar NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL,
  CONSTRAINT "PDX_BlockAdded" PRIMARY KEY ("block_hash", "height"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "Fault" (
  "era" decimal(20, 0) NOT NULL, "public_key" varchar NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL,
  CONSTRAINT "PDX_Fault" PRIMARY KEY ("era", "public_key"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "FinalitySignature" (
  "block_hash" varchar NOT NULL, "public_key" varchar NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL,
  CONSTRAINT "PDX_FinalitySignature" PRIMARY KEY ("block_hash", "public_key"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "Step" (
  "era" decimal(20, 0) NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL, CONSTRAINT "PDX_Step" PRIMARY KEY ("era"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "Shutdown" (
  "event_source_address" text NOT NULL, "shutdown_timestamp" timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, "event_log_id" bigint NOT NULL,
  CONSTRAINT "PDX_Shutdown" PRIMARY KEY ("event_source_address", "shutdown_timestamp"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "Migration" ("version" integer NOT NULL, "is_success" boolean NOT NULL, CONSTRAINT "PDX_Migration" PRIMARY KEY ("version"));
INSERT INTO "Migration" VALUES (1, TRUE);
