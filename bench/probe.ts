/**
 * Loaded into every measured process by `--import`: on demand it reports memory and processor time over the IPC
 * channel, profiles all threads, and it ends the process with the bench. Otherwise it does nothing.
 */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';

/** What a process reports of itself. Bytes; processor time in microseconds since its start. */
export interface Usage {
  readonly rssBytes: number;
  /** Live objects if garbage was collected first: heap and what it holds outside (buffers). */
  readonly heapBytes: number;
  readonly cpuMicros: number;
}

/** A V8 processor profile, in a file. */
export interface ThreadProfile {
  /** `main`, or the thread's name. */
  readonly thread: string;
  readonly path: string;
}

/** What the probe sends, each under its name. */
export interface ProbeMessages {
  readonly usage: Usage;
  readonly profiling: true;
  readonly profiles: ThreadProfile[];
}

interface Question {
  readonly usageAfterGc?: boolean;
  readonly profile?: 'start' | 'stop';
  readonly folder?: string;
}

const SAMPLING_INTERVAL_MICROS = 200;
/** For a thread that has ended meanwhile, or that waits for something. */
const THREAD_TIMEOUT_MS = 3_000;

interface Profiler {
  readonly thread: string;
  post(method: string, params?: object): Promise<unknown>;
}

const profilers: Profiler[] = [];

function reportUsage(isAfterGc: boolean): Usage {
  if (isAfterGc) {
    // Twice: the first round runs finalizers whose targets only the second one frees.
    globalThis.gc?.();
    globalThis.gc?.();
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return { rssBytes: rss, heapBytes: heapUsed + external, cpuMicros: user + system };
}

async function startProfiling(): Promise<void> {
  const session = new Session();
  session.connect();
  const post: Profiler['post'] = (method, params = {}) =>
    new Promise((resolve, reject) => {
      session.post(method, params, (error, result) => (error === null ? resolve(result) : reject(error)));
    });
  // Tells of every thread there is, in this call, and of each that comes later.
  session.on('NodeWorker.attachedToWorker', ({ params: { sessionId, workerInfo } }) => {
    void startProfiler({ thread: workerInfo.title, post: postToWorker(session, sessionId) });
  });
  await post('NodeWorker.enable', { waitForDebuggerOnStart: false });
  await startProfiler({ thread: 'main', post });
}

async function startProfiler(profiler: Profiler): Promise<void> {
  profilers.push(profiler);
  await profiler.post('Profiler.enable');
  await profiler.post('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL_MICROS });
  await profiler.post('Profiler.start');
}

/** The protocol within the protocol: its messages go as text, and undefined comes if the thread does not answer. */
function postToWorker(session: Session, sessionId: string): Profiler['post'] {
  let lastId = 0;
  const waiting = new Map<number, (result: unknown) => void>();
  session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
    if (params.sessionId !== sessionId) return;
    const { id, result } = JSON.parse(params.message) as { id?: number; result?: unknown };
    if (id !== undefined) waiting.get(id)?.(result);
  });
  return (method, params = {}) =>
    new Promise((resolve) => {
      const id = (lastId += 1);
      const timer = setTimeout(() => resolve(undefined), THREAD_TIMEOUT_MS);
      waiting.set(id, (result) => {
        clearTimeout(timer);
        resolve(result);
      });
      const message = JSON.stringify({ id, method, params });
      session.post('NodeWorker.sendMessageToWorker', { sessionId, message }, () => {});
    });
}

async function stopProfiling(folder: string): Promise<ThreadProfile[]> {
  const results = await Promise.all(
    profilers.map(async ({ thread, post }) => {
      const result = (await post('Profiler.stop')) as { readonly profile?: unknown } | undefined;
      return { thread, profile: result?.profile };
    }),
  );
  return results.flatMap(({ thread, profile }, index) => {
    if (profile === undefined) return [];
    const path = join(folder, `${index}-${thread.replaceAll(/\W+/g, '-')}.cpuprofile`);
    writeFileSync(path, JSON.stringify(profile));
    return [{ thread, path }];
  });
}

function send(message: Partial<ProbeMessages>): void {
  process.send?.(message);
}

process.on('message', async ({ usageAfterGc, profile, folder = '.' }: Question) => {
  if (usageAfterGc !== undefined) send({ usage: reportUsage(usageAfterGc) });
  if (profile === 'start') {
    await startProfiling();
    send({ profiling: true });
  }
  if (profile === 'stop') send({ profiles: await stopProfiling(folder) });
});
process.on('disconnect', () => process.exit());
