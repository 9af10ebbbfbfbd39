/**
 * The schema of the file of exchanges (`--inspect-db`), as numbered steps. Append-only: a step that was ever released
 * is never edited; step N takes a file from `user_version` N-1 to N.
 */

/** Marks a file as ours (`PRAGMA application_id`), and not as the key database: "BdPi". */
export const EXCHANGE_FILE_ID = 0x42_64_50_69;

/**
 * The steps, the first one at index 0. A blob is a part of bodies, kept once however many have it; it goes with the
 * last body. `head` is all of an exchange but the bytes of its bodies, as JSON.
 */
export const EXCHANGE_FILE_STEPS: readonly string[] = [
  `CREATE TABLE exchanges (
     sequence      INTEGER PRIMARY KEY,
     id            TEXT NOT NULL UNIQUE,
     started_at_ms INTEGER NOT NULL,
     is_pinned     INTEGER NOT NULL DEFAULT 0,
     note          TEXT,
     content_bytes INTEGER NOT NULL,
     head          TEXT NOT NULL
   ) STRICT;
   CREATE INDEX exchanges_pinned ON exchanges (sequence) WHERE is_pinned = 1;
   CREATE TABLE bodies (
     sequence INTEGER NOT NULL REFERENCES exchanges (sequence) ON DELETE CASCADE,
     slot     TEXT NOT NULL,
     chunks   BLOB NOT NULL,
     PRIMARY KEY (sequence, slot)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE body_pieces (
     sequence INTEGER NOT NULL REFERENCES exchanges (sequence) ON DELETE CASCADE,
     slot     TEXT NOT NULL,
     position INTEGER NOT NULL,
     blob_id  INTEGER NOT NULL,
     PRIMARY KEY (sequence, slot, position)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE blobs (
     id          INTEGER PRIMARY KEY,
     sha256      BLOB NOT NULL UNIQUE,
     size_bytes  INTEGER NOT NULL,
     is_deflated INTEGER NOT NULL,
     uses        INTEGER NOT NULL DEFAULT 0,
     content     BLOB NOT NULL
   ) STRICT;
   CREATE TRIGGER piece_added AFTER INSERT ON body_pieces BEGIN
     UPDATE blobs SET uses = uses + 1 WHERE id = NEW.blob_id;
   END;
   CREATE TRIGGER piece_removed AFTER DELETE ON body_pieces BEGIN
     UPDATE blobs SET uses = uses - 1 WHERE id = OLD.blob_id;
     DELETE FROM blobs WHERE id = OLD.blob_id AND uses <= 0;
   END;
   CREATE TABLE last_sequence (sequence INTEGER NOT NULL) STRICT;
   INSERT INTO last_sequence VALUES (0);
   CREATE TRIGGER exchange_added AFTER INSERT ON exchanges BEGIN
     UPDATE last_sequence SET sequence = max(sequence, NEW.sequence);
   END;`,
];
