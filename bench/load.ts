/**
 * The load generator: closed loops (a lane sends its next request when the last response is complete) and open streams,
 * over HTTP/1.1 by undici and HTTP/2 by node:http2. As little work per request as possible, since it shares the
 * processors with what it measures.
 */
import { type ClientHttp2Session, connect } from 'node:http2';
import { Client, type Dispatcher } from 'undici';
import { readAges } from './frames.ts';
import type { Party } from './parties.ts';

/** One request, ready to be sent again and again. */
export interface Call {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** What comes back of one request. */
interface Sink {
  onData(chunk: Buffer): void;
  onEnd(): void;
  onFault(fault: Error): void;
}

/** One connection (HTTP/1.1), or one stream at a time of a shared one (HTTP/2). */
export interface Lane {
  send(call: Call, sink: Sink): void;
  close(): Promise<void>;
}

/** Samples of one closed loop. */
export interface LoadResult {
  /** Until the first byte of the response's body, and until its end. */
  readonly firstByteMs: readonly number[];
  readonly totalMs: readonly number[];
  readonly elapsedMs: number;
}

/** So many connections of their own. */
export function openHttp1Lanes(party: Pick<Party, 'origin'>, count: number): Lane[] {
  return Array.from({ length: count }, () => {
    const client = new Client(party.origin, { keepAliveTimeout: 290_000, headersTimeout: 0, bodyTimeout: 0 });
    return {
      send: (call, sink) => {
        const { path, headers, body } = call;
        client.dispatch({ path, method: 'POST', headers, body }, new SinkHandler(sink));
      },
      close: () => client.destroy(),
    };
  });
}

class SinkHandler implements Dispatcher.DispatchHandler {
  readonly #sink: Sink;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  onRequestStart(): void {}

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    if (status !== 200) throw new Error(`a response had status ${status}`);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#sink.onData(chunk);
  }

  onResponseEnd(): void {
    this.#sink.onEnd();
  }

  onResponseError(_controller: Dispatcher.DispatchController, fault: Error): void {
    this.#sink.onFault(fault);
  }
}

/** So many streams of one connection. */
export function openHttp2Lanes(party: Party, count: number): Lane[] {
  const session = connect(party.http2Origin ?? party.origin);
  session.on('error', () => {});
  return Array.from({ length: count }, () => ({
    send: (call, sink) => sendHttp2(session, call, sink),
    close: async () => session.destroy(),
  }));
}

function sendHttp2(session: ClientHttp2Session, { path, headers, body }: Call, sink: Sink): void {
  const stream = session.request({ ':method': 'POST', ':path': path, ...headers });
  stream.on('response', ({ ':status': status }) => {
    if (status !== 200) stream.destroy(new Error(`a response had status ${status}`));
  });
  stream.on('data', (chunk: Buffer) => sink.onData(chunk));
  stream.on('end', () => sink.onEnd());
  stream.on('error', (fault) => sink.onFault(fault));
  stream.end(body);
}

/** Keeps every lane busy for `durationMs`; rejects at the first response that is not 200. */
export async function runLoad(lanes: readonly Lane[], call: Call, durationMs: number): Promise<LoadResult> {
  const firstByteMs: number[] = [];
  const totalMs: number[] = [];
  const startedAt = performance.now();
  const runLane = (lane: Lane): Promise<void> =>
    new Promise((resolve, reject) => {
      const sendNext = (): void => {
        const sentAt = performance.now();
        if (sentAt - startedAt >= durationMs) return resolve();
        let isFirst = true;
        lane.send(call, {
          onData: () => {
            if (isFirst) firstByteMs.push(performance.now() - sentAt);
            isFirst = false;
          },
          onEnd: () => {
            totalMs.push(performance.now() - sentAt);
            sendNext();
          },
          onFault: reject,
        });
      };
      sendNext();
    });
  await Promise.all(lanes.map(runLane));
  return { firstByteMs, totalMs, elapsedMs: performance.now() - startedAt };
}

/** Streams that were opened together. `agesMs` grows with every event: how long it was on its way. */
export interface OpenStreams {
  readonly agesMs: number[];
  close(): Promise<void>;
}

/** Opens one stream per lane and resolves when each has its first event. A stream that ends is opened again. */
export async function openStreams(lanes: readonly Lane[], call: Call): Promise<OpenStreams> {
  const agesMs: number[] = [];
  let isClosing = false;
  const open = (lane: Lane): Promise<void> =>
    new Promise((resolve, reject) => {
      let rest: Buffer = Buffer.alloc(0);
      lane.send(call, {
        onData: (chunk) => {
          resolve();
          rest = readAges(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]), (ageMs) => agesMs.push(ageMs));
        },
        onEnd: () => {
          if (!isClosing) void open(lane);
        },
        onFault: (fault) => {
          if (!isClosing) reject(fault);
        },
      });
    });
  await Promise.all(lanes.map(open));
  return {
    agesMs,
    close: async () => {
      isClosing = true;
      await Promise.all(lanes.map((lane) => lane.close()));
    },
  };
}
