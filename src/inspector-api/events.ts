/**
 * Live changes, as server-sent events. What a reader does not take is not kept for it: who lags behind is cut off, and
 * comes back with the cursor it had.
 */
import type { Writable } from 'node:stream';
import type { ClientRequest, ClientResponse, HeaderPair } from '../http/message.ts';
import { GUARD_HEADERS } from './page-files.ts';

/** So many bytes may wait for a reader. */
const MAX_WAITING_BYTES = 1024 * 1024;
const HEARTBEAT_MS = 15_000;

/** One open stream. State: whether it is over. */
export class EventStream {
  readonly #sink: Writable;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #onClose: (() => void)[] = [];
  isOver = false;

  constructor({ signal }: Pick<ClientRequest, 'signal'>, clientResponse: ClientResponse) {
    const headers: HeaderPair[] = [
      ['content-type', 'text/event-stream'],
      ['cache-control', 'no-store'],
      ['x-accel-buffering', 'no'],
      ...GUARD_HEADERS,
    ];
    this.#sink = clientResponse.start(200, headers);
    clientResponse.dropRequestBody();
    this.#sink.on('error', () => this.close());
    this.#sink.write(':\n\n');
    signal.addEventListener('abort', () => this.close(), { once: true });
    this.#heartbeat = setInterval(() => this.#write(':\n\n'), HEARTBEAT_MS).unref();
    if (signal.aborted) this.close();
  }

  /** The members of the data that are not the event's name. */
  send({ event, ...data }: { readonly event: string; readonly [name: string]: unknown }): void {
    this.#write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** Called once, when it is over for whatever reason. */
  onClose(listener: () => void): void {
    if (this.isOver) listener();
    else this.#onClose.push(listener);
  }

  close(): void {
    if (this.isOver) return;
    this.isOver = true;
    clearInterval(this.#heartbeat);
    this.#sink.end();
    for (const listener of this.#onClose) listener();
  }

  #write(text: string): void {
    if (this.isOver) return;
    this.#sink.write(text);
    if (this.#sink.writableLength > MAX_WAITING_BYTES) {
      this.#sink.destroy();
      this.close();
    }
  }
}
