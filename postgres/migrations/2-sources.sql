-- Orders of two systems, to try sources with.
CREATE TABLE system_1_orders (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  product        text NOT NULL,
  price          numeric(10, 2) NOT NULL,
  security_check boolean NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE system_2_orders (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  product        text NOT NULL,
  price          numeric(10, 2) NOT NULL,
  security_check boolean NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- What sources were asked to send. Kept here, so that it is done although the process that was asked is gone.
CREATE TABLE source_runs (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream      text NOT NULL,
  epoch       text NOT NULL,   -- the life of the stream that it is a run of
  source      text NOT NULL,
  after_id    bigint NOT NULL, -- rows behind this one …
  up_to       bigint NOT NULL, -- … and up to this one
  started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz
);
CREATE INDEX source_runs_last ON source_runs (stream, source, id);
CREATE INDEX source_runs_unfinished ON source_runs (stream, epoch, source) WHERE finished_at IS NULL;
