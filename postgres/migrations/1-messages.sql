-- What consumers are done with, one row a message, whatever happened on the way.
CREATE TABLE messages (
  stream         text NOT NULL,
  consumer_group text NOT NULL,   -- each group handles every message
  epoch          text NOT NULL,   -- the run of the stream that the message belongs to
  id             text NOT NULL,   -- of the entry that carried it first; the same at every attempt
  package        bigint NOT NULL,
  consumer       text NOT NULL,
  produced_at    timestamptz NOT NULL,
  stored_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  payload        jsonb NOT NULL,
  result         jsonb,           -- what the handler returned
  PRIMARY KEY (stream, consumer_group, epoch, id)
);
-- For dashboards: rows come in the order of time, so this takes next to nothing.
CREATE INDEX messages_stored_at ON messages USING brin (stored_at);
