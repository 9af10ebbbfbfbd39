/**
 * A response to which a fault happens on its last steps to the client. What the upstream sent is metered before, all of
 * it: AWS bills it. The fault is drawn when the head is there, and its mark goes out with it.
 */
import { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { unlessAborted } from '../lib/deadline.ts';
import { type ClientResponse, findHeader, type HeaderPair } from '../http/message.ts';
import type { MonotonicClock } from '../lib/clock.ts';
import type { ResponseShape } from '../operations/facts.ts';
import { type BodyEffect, type EffectSink, type FaultEnding, openBodyEffect } from './body-effects.ts';
import type { DrawnFault } from './fault-set.ts';
import type { EarlyEffect, LateEffect } from './grammar.ts';
import { refusalOfException, writeRefusal } from './refusals.ts';
import { type BodyKind, bodyKindOf } from './stream-place.ts';

/** The header by which a response says that a fault was injected, and a request asks for one. */
export const FAULT_HEADER = 'x-bedrock-proxy-fault';

/** A connection is reset only so much later: a reset would take back what was not read yet. */
const BREAK_AFTER_MS = 100;

/** A fault of a response. */
export type LateFault = DrawnFault & { readonly effect: LateEffect };

/** What a faulty response is made of. */
export interface FaultyResponseParts {
  /** Asked when the head is there. */
  readonly draw: () => DrawnFault | undefined;
  /** A fault has happened. */
  readonly onInjected: (mark: string) => void;
  readonly shape: ResponseShape | undefined;
  readonly requestId: string;
  readonly tickMs: MonotonicClock;
  /** The client's: nothing is waited for when it has left. */
  readonly signal: AbortSignal;
}

/** Whether it is one of a response; the others happen before the request is sent. */
export function isLate(effect: EarlyEffect | LateEffect): effect is LateEffect {
  return !['refuse', 'connect', 'budget', 'wait'].includes(effect.does);
}

/** The client's response with the fault in between. */
export function openFaultyResponse(clientResponse: ClientResponse, parts: FaultyResponseParts): ClientResponse {
  return {
    get headersSent() {
      return clientResponse.headersSent;
    },
    start: (status, headers, reasonPhrase) => {
      const fault = parts.draw();
      const kind = bodyKindOf(headers);
      if (fault === undefined || !isLate(fault.effect) || !happensTo(fault.effect, status, kind)) {
        return clientResponse.start(status, headers, reasonPhrase);
      }
      parts.onInjected(fault.mark);
      const late = { ...fault, effect: fault.effect };
      if (late.effect.does === 'exception' && kind === 'whole')
        return startRefusal(late.effect.type, late.mark, clientResponse, parts);
      const head = changeHead(headers, late);
      return new FaultySink(
        late,
        { kind, headers, start: () => clientResponse.start(status, head, reasonPhrase) },
        clientResponse,
        parts,
      );
    },
    dropRequestBody: () => clientResponse.dropRequestBody(),
    breakOff: () => clientResponse.breakOff(),
  };
}

/** Slowness happens to all; AWS's own refusals are left whole otherwise, and only frames have checksums. */
function happensTo({ does }: LateEffect, status: number, kind: BodyKind): boolean {
  if (does === 'first-byte' || does === 'gap' || does === 'rate') return true;
  return status < 300 && status !== 204 && (does !== 'crc' || kind === 'frames');
}

/** Without the length of a body that comes to its end earlier; what breaks off or falls silent announces more. */
function changeHead(headers: readonly HeaderPair[], { effect: { does }, mark }: LateFault): HeaderPair[] {
  const isShort = does === 'cut' || does === 'exception' || does === 'empty';
  const kept = isShort ? headers.filter(([name]) => name.toLowerCase() !== 'content-length') : headers;
  const length: HeaderPair[] = does === 'empty' ? [['content-length', '0']] : [];
  return [...kept, ...length, [FAULT_HEADER, mark]];
}

/** What would be an exception in a stream is a refusal of a response that is none; the upstream's body is dropped. */
function startRefusal(
  type: string,
  mark: string,
  clientResponse: ClientResponse,
  { shape, requestId }: FaultyResponseParts,
): Writable {
  const refusal = writeRefusal(refusalOfException(type), shape, { requestId, retryAfterSeconds: undefined });
  const sink = clientResponse.start(refusal.status, [...refusal.headers, [FAULT_HEADER, mark]]);
  return new Writable({
    write: (_chunk, _encoding, done) => done(),
    final: (done) => void sink.end(refusal.body, () => done()),
  });
}

interface Opening {
  readonly kind: BodyKind;
  /** The upstream's own. */
  readonly headers: readonly HeaderPair[];
  readonly start: () => Writable;
}

/**
 * State: the effect, and whether it has ended the response. Then what still comes is taken and dropped, so that the
 * upstream is read to its end, as it is billed.
 */
class FaultySink extends Writable {
  readonly #fault: LateFault;
  readonly #start: () => Writable;
  readonly #clientResponse: ClientResponse;
  readonly #parts: FaultyResponseParts;
  readonly #effect: BodyEffect;
  readonly #tools: EffectSink;
  #sink: Writable | undefined;
  #ending: FaultEnding | undefined;

  constructor(
    fault: LateFault,
    { kind, headers, start }: Opening,
    clientResponse: ClientResponse,
    parts: FaultyResponseParts,
  ) {
    super();
    this.#fault = fault;
    this.#start = start;
    this.#clientResponse = clientResponse;
    this.#parts = parts;
    const announced = findHeader(headers, 'content-length');
    const sizeBytes = announced === undefined ? undefined : Number(announced);
    this.#effect = openBodyEffect(fault.effect, { kind, sizeBytes, shape: parts.shape });
    const { draw } = fault;
    this.#tools = { write: (chunk) => this.#write(chunk), wait: (ms) => this.#wait(ms), tickMs: parts.tickMs, draw };
    // A client that has left shows in its signal.
    this.on('error', () => {});
    if (fault.effect.does !== 'first-byte') this.#sink = start();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    void settle(this.#pass(chunk), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    void settle(this.#finish(), done);
  }

  async #pass(chunk: Buffer): Promise<void> {
    if (this.#ending !== undefined) return;
    await this.#open();
    const ending = await this.#effect(chunk, this.#tools);
    if (ending !== undefined) this.#end(ending);
  }

  async #finish(): Promise<void> {
    if (this.#ending === undefined) {
      const sink = await this.#open();
      await this.#unlessGone(new Promise<void>((resolve) => void sink.end(resolve)));
    } else if (this.#ending === 'silence') await this.#untilGone();
  }

  async #open(): Promise<Writable> {
    const { effect } = this.#fault;
    if (this.#sink === undefined && effect.does === 'first-byte') await this.#wait(effect.ms);
    return (this.#sink ??= this.#start());
  }

  #end(ending: FaultEnding): void {
    this.#ending = ending;
    if (ending === 'end') this.#sink?.end();
    else if (ending === 'reset') setTimeout(() => this.#clientResponse.breakOff(), BREAK_AFTER_MS);
  }

  #write(chunk: Buffer): Promise<void> {
    const written = new Promise<void>((resolve, reject) => {
      this.#sink?.write(chunk, (error) => (error ? reject(error) : resolve()));
    });
    return this.#unlessGone(written);
  }

  /** Rejects if the client leaves: Node does not call back for a response that is broken off. */
  #unlessGone(work: Promise<void>): Promise<void> {
    return unlessAborted(this.#parts.signal, work);
  }

  /** Rejects if the client leaves. */
  #wait(ms: number): Promise<void> {
    return delay(ms, undefined, { signal: this.#parts.signal });
  }

  #untilGone(): Promise<void> {
    const { signal } = this.#parts;
    return new Promise((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}

/** Streams want a callback. */
async function settle(work: Promise<void>, done: (error?: Error | null) => void): Promise<void> {
  let failure: Error | undefined;
  try {
    await work;
  } catch (thrown) {
    failure = thrown instanceof Error ? thrown : new Error(String(thrown));
  }
  done(failure);
}
