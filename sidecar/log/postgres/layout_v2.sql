-- The tables of Casper's event sidecar 2.x, column for column, so that it can take the database over again.
CREATE TABLE "event_type" ("event_type_id" integer NOT NULL PRIMARY KEY, "event_type_name" varchar NOT NULL UNIQUE);
INSERT INTO "event_type" VALUES (1, 'BlockAdded'), (2, 'TransactionAccepted'), (3, 'TransactionExpired'), (4, 'TransactionProcessed'),
  (5, 'Fault'), (6, 'FinalitySignature'), (7, 'Step'), (8, 'Shutdown');
CREATE TABLE "TransactionType" ("transaction_type_id" integer NOT NULL PRIMARY KEY, "transaction_type_name" varchar NOT NULL UNIQUE);
INSERT INTO "TransactionType" VALUES (0, 'Deploy'), (1, 'Version1');
CREATE TABLE "event_log" (
  "event_log_id" bigserial NOT NULL PRIMARY KEY, "event_type_id" smallint NOT NULL, "event_source_address" varchar NOT NULL,
  "event_id" bigint NOT NULL, "event_key" varchar NOT NULL,
  "inserted_timestamp" timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, "emitted_timestamp" timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "api_version" varchar NOT NULL, "network_name" varchar NOT NULL,
  CONSTRAINT "UDX_event_log" UNIQUE ("event_source_address", "event_id", "event_type_id", "event_key"),
  CONSTRAINT "FK_event_type_id" FOREIGN KEY ("event_type_id") REFERENCES "event_type" ("event_type_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "transaction_event" (
  "event_log_id" bigint NOT NULL, "transaction_hash" varchar NOT NULL, "transaction_type_id" smallint NOT NULL,
  CONSTRAINT "PDX_TransactionEvent" PRIMARY KEY ("transaction_hash", "transaction_type_id", "event_log_id"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "FK_transaction_type_id" FOREIGN KEY ("transaction_type_id") REFERENCES "TransactionType" ("transaction_type_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "TransactionAccepted" (
  "transaction_hash" varchar NOT NULL, "transaction_type_id" smallint NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL,
  CONSTRAINT "PDX_TransactionAccepted" PRIMARY KEY ("transaction_type_id", "transaction_hash"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "FK_transaction_type_id" FOREIGN KEY ("transaction_type_id") REFERENCES "TransactionType" ("transaction_type_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "TransactionProcessed" (
  "transaction_hash" varchar NOT NULL, "transaction_type_id" smallint NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL,
  CONSTRAINT "PDX_TransactionProcessed" PRIMARY KEY ("transaction_hash", "transaction_type_id"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "FK_transaction_type_id" FOREIGN KEY ("transaction_type_id") REFERENCES "TransactionType" ("transaction_type_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "TransactionExpired" (
  "transaction_hash" varchar NOT NULL, "transaction_type_id" smallint NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL,
  CONSTRAINT "PDX_TransactionExpired" PRIMARY KEY ("transaction_hash"),
  CONSTRAINT "FK_event_log_id" FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "FK_transaction_type_id" FOREIGN KEY ("transaction_type_id") REFERENCES "TransactionType" ("transaction_type_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
