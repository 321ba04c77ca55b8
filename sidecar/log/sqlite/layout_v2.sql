-- The tables of Casper's event sidecar 2.x, column for column, so that it can take the database over again.
CREATE TABLE "event_type" ("event_type_id" integer NOT NULL PRIMARY KEY, "event_type_name" text NOT NULL UNIQUE);
INSERT INTO "event_type" VALUES (1, 'BlockAdded'), (2, 'TransactionAccepted'), (3, 'TransactionExpired'), (4, 'TransactionProcessed'),
  (5, 'Fault'), (6, 'FinalitySignature'), (7, 'Step'), (8, 'Shutdown');
CREATE TABLE "TransactionType" ("transaction_type_id" integer NOT NULL PRIMARY KEY, "transaction_type_name" text NOT NULL UNIQUE);
INSERT INTO "TransactionType" VALUES (0, 'Deploy'), (1, 'Version1');
CREATE TABLE "event_log" (
  "event_log_id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "event_type_id" integer NOT NULL, "event_source_address" text NOT NULL,
  "event_id" bigint NOT NULL, "event_key" text NOT NULL,
  "inserted_timestamp" text NOT NULL DEFAULT CURRENT_TIMESTAMP, "emitted_timestamp" text NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "api_version" text NOT NULL, "network_name" text NOT NULL,
  CONSTRAINT "UDX_event_log" UNIQUE ("event_source_address", "event_id", "event_type_id", "event_key"),
  FOREIGN KEY ("event_type_id") REFERENCES "event_type" ("event_type_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "transaction_event" (
  "event_log_id" bigint NOT NULL, "transaction_hash" text NOT NULL, "transaction_type_id" integer NOT NULL,
  CONSTRAINT "PDX_TransactionEvent" PRIMARY KEY ("transaction_hash", "transaction_type_id", "event_log_id"),
  FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  FOREIGN KEY ("transaction_type_id") REFERENCES "TransactionType" ("transaction_type_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "TransactionAccepted" (
  "transaction_hash" text NOT NULL, "transaction_type_id" integer NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL,
  CONSTRAINT "PDX_TransactionAccepted" PRIMARY KEY ("transaction_type_id", "transaction_hash"),
  FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  FOREIGN KEY ("transaction_type_id") REFERENCES "TransactionType" ("transaction_type_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "TransactionProcessed" (
  "transaction_hash" text NOT NULL, "transaction_type_id" integer NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL,
  CONSTRAINT "PDX_TransactionProcessed" PRIMARY KEY ("transaction_hash", "transaction_type_id"),
  FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  FOREIGN KEY ("transaction_type_id") REFERENCES "TransactionType" ("transaction_type_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE "TransactionExpired" (
  "transaction_hash" text NOT NULL, "transaction_type_id" integer NOT NULL, "raw" text NOT NULL, "event_log_id" bigint NOT NULL,
  CONSTRAINT "PDX_TransactionExpired" PRIMARY KEY ("transaction_hash"),
  FOREIGN KEY ("event_log_id") REFERENCES "event_log" ("event_log_id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  FOREIGN KEY ("transaction_type_id") REFERENCES "TransactionType" ("transaction_type_id") ON DELETE RESTRICT ON UPDATE RESTRICT);
