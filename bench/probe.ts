/**
 * Loaded into every measured process by `--import`: on demand it reports memory and processor time over the IPC
 * channel, and it ends the process with the bench. Otherwise it does nothing.
 */

/** What a process reports of itself. Bytes; processor time in microseconds since its start. */
export interface Usage {
  readonly rssBytes: number;
  /** Live objects if garbage was collected first: heap and what it holds outside (buffers). */
  readonly heapBytes: number;
  readonly cpuMicros: number;
}

process.on('message', (message: { readonly usageAfterGc?: boolean }) => {
  if (message.usageAfterGc === undefined) return;
  if (message.usageAfterGc) {
    // Twice: the first round runs finalizers whose targets only the second one frees.
    globalThis.gc?.();
    globalThis.gc?.();
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const usage: Usage = { rssBytes: rss, heapBytes: heapUsed + external, cpuMicros: user + system };
  process.send?.({ usage });
});
process.on('disconnect', () => process.exit());
