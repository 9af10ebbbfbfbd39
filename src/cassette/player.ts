/**
 * Answers a request with what was recorded, as if AWS had: through the same relay, so that headers, metering,
 * back-pressure and the client's leaving are what they always are. It connects to nothing and signs nothing.
 */
import { createHash } from 'node:crypto';
import { Duplex } from 'node:stream';
import { MACHINE_TICKS } from '../lib/clock.ts';
import { findHeader, type HeaderPair } from '../http/message.ts';
import { BUFFER_MS } from '../upstream/aws/buffered-response.ts';
import { ResponseRelay } from '../upstream/aws/response-relay.ts';
import { UNREAD_MS } from '../upstream/aws/unread.ts';
import type { Attempt, ResponseObserver, ResponsePolicy } from '../upstream/upstream.ts';
import { Playback } from './playback.ts';
import { encodeResponseBody, type OpenBlob, type TimedBytes } from './proof.ts';
import type { NamedRecording, RecordedResponse } from './recording.ts';

/** What is played, and how fast. */
export interface PlayerOptions {
  readonly named: NamedRecording;
  readonly openBlob: OpenBlob;
  readonly speed: number;
}

type Controller = Parameters<ResponseRelay['onResponseStart']>[0];

/** Nothing is read on for a client that has left: nobody bills what is played. */
const NOT_READ_ON = { timeoutMs: 0, maxBytes: 0, stallMs: 0, ending: new AbortController().signal };
/** A stream is broken off only so much later: a reset would take back what was not read yet. */
const BREAK_AFTER_MS = 100;
/** RFC 6455, section 1.3. */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Resolves when the client has all of it. Throws as `Upstream.send` does, if it breaks off or the client leaves. */
export function play(
  { clientRequest, clientResponse, prepared }: Attempt,
  { named, openBlob, speed }: PlayerOptions,
  observer: ResponseObserver,
  policy: ResponsePolicy,
): Promise<void> {
  const { response } = named.recording;
  const pieces = encodeResponseBody(response, openBlob);
  const { upgrade, signal } = clientRequest;
  observer.onReplayed(named.name);
  observer.onSigned();
  if (prepared.route.streaming === 'bidirectional') {
    clientRequest
      .openBody()
      .on('data', (chunk: Buffer) => observer.onClientBytes(chunk))
      .on('error', () => {});
  }
  return new Promise<void>((resolve, reject) => {
    const relay = new ResponseRelay(
      {
        client: { clientResponse, signal },
        observer,
        policy: {
          get bufferBelowBytes() {
            return policy.bufferBelowBytes;
          },
          readsOn: false,
          extraHeaders: (isComplete) => policy.extraHeaders(isComplete),
        },
        upgrade,
        silence: undefined,
        unreadMs: UNREAD_MS,
        bufferMs: BUFFER_MS,
        reading: NOT_READ_ON,
      },
      resolve,
      reject,
    );
    const timing = { tickMs: MACHINE_TICKS, firstByteMs: response.firstByteMs, speed };
    const accept = acceptOf(findHeader(clientRequest.headers, 'sec-websocket-key'));
    const headers = headersOf(response, pieces, accept);
    if (response.status === 101) playUpgrade(relay, { pieces, headers, end: response.end, timing });
    else playResponse(relay, { response, pieces, headers, timing, onEnd: () => clientResponse.dropRequestBody() });
  });
}

interface Tape {
  readonly pieces: readonly TimedBytes[];
  readonly headers: readonly HeaderPair[];
  readonly timing: ConstructorParameters<typeof Playback>[2];
}

function playResponse(
  relay: ResponseRelay,
  { response, pieces, headers, timing, onEnd }: Tape & { readonly response: RecordedResponse; onEnd(): void },
): void {
  const sink = {
    onHead: () => relay.onResponseStart(controller, response.status, {}),
    onBytes: (chunk: Buffer) => relay.onResponseData(controller, chunk),
    onEnd: () => {
      if (isBroken(response)) {
        return breakLater(() => relay.isOver || relay.onResponseError(controller, brokenOff(response)));
      }
      onEnd();
      relay.onResponseEnd(controller);
    },
  };
  const playback = new Playback(pieces, sink, timing);
  const controller = openController(playback, headers);
  begin(relay, controller, playback);
}

function playUpgrade(
  relay: ResponseRelay,
  { pieces, headers, timing, end }: Tape & Pick<RecordedResponse, 'end'>,
): void {
  // What the client says is not listened to: a WebSocket is played by time alone.
  const upstream = new Duplex({
    read: () => playback.resume(),
    write: (_chunk, _encoding, done) => done(),
    destroy: (error, done) => {
      playback.stop();
      done(error);
    },
  });
  const sink = {
    onHead: () => relay.onRequestUpgrade(controller, 101, {}, upstream),
    onBytes: (chunk: Buffer) => {
      if (!upstream.push(chunk)) playback.pause();
    },
    onEnd: () => {
      if (isBroken({ end })) breakLater(() => upstream.destroy(brokenOff({ end })));
      else upstream.push(null);
    },
  };
  const playback = new Playback(pieces, sink, timing);
  const controller = openController(playback, headers);
  begin(relay, controller, playback);
}

function begin(relay: ResponseRelay, controller: Controller, playback: Playback): void {
  relay.onRequestStart(controller);
  if (controller.reason !== null) relay.onResponseError(controller, controller.reason);
  else playback.start();
}

function isBroken({ end }: Pick<RecordedResponse, 'end'>): boolean {
  return end === 'cut' || end === 'reset';
}

function breakLater(breakOff: () => unknown): void {
  setTimeout(breakOff, BREAK_AFTER_MS);
}

function brokenOff({ end }: Pick<RecordedResponse, 'end'>): Error {
  return Object.assign(new Error('as recorded'), { code: end === 'reset' ? 'ECONNRESET' : 'UND_ERR_SOCKET' });
}

/** What is steered is the playback; the relay knows no other upstream than undici. */
function openController(playback: Playback, headers: readonly HeaderPair[]): Controller {
  let reason: Error | null = null;
  return {
    get aborted() {
      return reason !== null;
    },
    get paused() {
      return playback.isPaused;
    },
    get reason() {
      return reason;
    },
    rawHeaders: headers.flat(),
    rawTrailers: null,
    abort: (error: Error) => {
      reason = error;
      playback.stop();
    },
    pause: () => playback.pause(),
    resume: () => playback.resume(),
  };
}

/** A file that was edited may have another length than its header says. */
function headersOf(
  { headers }: RecordedResponse,
  pieces: readonly TimedBytes[],
  accept: string | undefined,
): readonly HeaderPair[] {
  const sizeBytes = pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
  return headers.map(([name, value]): HeaderPair => {
    const lower = name.toLowerCase();
    if (lower === 'content-length' && sizeBytes > 0) return [name, String(sizeBytes)];
    return lower === 'sec-websocket-accept' && accept !== undefined ? [name, accept] : [name, value];
  });
}

function acceptOf(key: string | undefined): string | undefined {
  return key === undefined ? undefined : createHash('sha1').update(`${key}${WEBSOCKET_GUID}`).digest('base64');
}
