/**
 * Writes log lines in groups: one write per turn of the event loop however many requests end in it. A reader that went
 * away (`start | head`) ends the log, not the server.
 */
export interface LineWriter {
  write(line: string): void;
  /** Writes what is waiting, now. */
  flush(): void;
}

/** Writes lines to a stream, gathered per turn of the event loop. */
export function createLineWriter(stream: NodeJS.WritableStream): LineWriter {
  let waiting = '';
  let isScheduled = false;
  let isBroken = false;
  stream.on('error', () => {
    isBroken = true;
  });
  const flush = (): void => {
    isScheduled = false;
    if (waiting !== '' && !isBroken) stream.write(waiting);
    waiting = '';
  };
  return {
    write: (line) => {
      waiting += `${line}\n`;
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(flush);
    },
    flush,
  };
}
