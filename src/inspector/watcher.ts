/**
 * What the way of a request tells whoever looks at exchanges: the inspector's recorder, and the cache doctor. They hear
 * of what passes after those on the way, and change nothing; they must be quick, wait for nothing and keep no piece of
 * what they see but as a copy. What one throws is told, it hears no more of that exchange, and the request does not
 * feel it.
 */
import type { Writable } from 'node:stream';
import type { Principal } from '../domain/principal.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import type { Body } from '../http/body.ts';
import type { ClientRequest, ClientResponse, HeaderPair } from '../http/message.ts';
import type { ResponseObserver } from '../upstream/upstream.ts';

/** Looks at exchanges. */
export interface ExchangeWatcher {
  /** A request has come; undefined: this one is not looked at. Its record ends with the event `ended`. */
  open(record: RequestRecord, clientRequest: ClientRequest): ExchangeListener | undefined;
}

/**
 * Looks at one exchange, in the order of its way; it may end after any of these. Of the upstream it hears what a
 * `ResponseObserver` does.
 */
export interface ExchangeListener extends Partial<ResponseObserver> {
  /** The caller is known. */
  onCaller?(principal: Principal | undefined): void;
  /**
   * The body is there. It may be released as soon as the request has left: what is kept is a copy. Who returns false
   * has seen enough, and hears no more of this exchange.
   */
  onBody?(body: Body): void | false;
  /** Limits let it in. */
  onAdmitted?(): void;
  /** It is about to be sent, to whichever upstream: its route is known. */
  onSending?(): void;
  /** The client's response begins. The function that is given is called with each piece that is written to it. */
  onClientHead?(status: number, headers: readonly HeaderPair[]): ((chunk: Uint8Array | string) => void) | undefined;
  /** The way is over; the ledger's row may still come. */
  onOver?(): void;
}

/** What `proxy.ts` tells of one exchange. Nothing of it throws. */
export interface ExchangeWatch {
  onCaller(principal: Principal | undefined): void;
  onBody(body: Body): void;
  onAdmitted(): void;
  /** An observer that is told what this one is told, and then tells who listens; this one itself if nobody does. */
  watchUpstream(observer: ResponseObserver): ResponseObserver;
  /** A response that tells who listens what goes to the client; this one itself if nobody wants to hear that. */
  watchClient(clientResponse: ClientResponse): ClientResponse;
  onEnd(): void;
}

/** Makes, for each request, what is told to all who look at it; undefined: nobody does. */
export type OpenWatch = (record: RequestRecord, clientRequest: ClientRequest) => ExchangeWatch | undefined;

/** For these watchers; undefined if there are none. `onFault` is told what one throws. */
export function watchExchanges(
  watchers: readonly ExchangeWatcher[],
  onFault: (thrown: unknown) => void,
): OpenWatch | undefined {
  if (watchers.length === 0) return undefined;
  return (record, clientRequest) => {
    const listeners: ExchangeListener[] = [];
    for (const watcher of watchers) {
      try {
        const listener = watcher.open(record, clientRequest);
        if (listener !== undefined) listeners.push(listener);
      } catch (thrown) {
        onFault(thrown);
      }
    }
    return listeners.length === 0 ? undefined : new WatchedExchange(listeners, onFault);
  };
}

/** State: those who still listen. */
class WatchedExchange implements ExchangeWatch {
  readonly #listeners: ExchangeListener[];
  readonly #onFault: (thrown: unknown) => void;

  constructor(listeners: ExchangeListener[], onFault: (thrown: unknown) => void) {
    this.#listeners = listeners;
    this.#onFault = onFault;
  }

  onCaller(principal: Principal | undefined): void {
    this.#tell((listener) => listener.onCaller?.(principal));
  }

  onBody(body: Body): void {
    const done: ExchangeListener[] = [];
    this.#tell((listener) => {
      if (listener.onBody?.(body) === false) done.push(listener);
    });
    this.#leave(done);
  }

  onAdmitted(): void {
    this.#tell((listener) => listener.onAdmitted?.());
  }

  onEnd(): void {
    this.#tell((listener) => listener.onOver?.());
  }

  watchUpstream(observer: ResponseObserver): ResponseObserver {
    if (this.#listeners.length === 0) return observer;
    this.#tell((listener) => listener.onSending?.());
    return {
      onAttempt: (way, failed) => {
        observer.onAttempt(way, failed);
        this.#tell((listener) => listener.onAttempt?.(way, failed));
      },
      onReturn: (way, failed) => {
        observer.onReturn(way, failed);
        this.#tell((listener) => listener.onReturn?.(way, failed));
      },
      onReplayed: (recording) => {
        observer.onReplayed(recording);
        this.#tell((listener) => listener.onReplayed?.(recording));
      },
      onSigned: (sent) => {
        observer.onSigned(sent);
        this.#tell((listener) => listener.onSigned?.(sent));
      },
      onSent: () => {
        observer.onSent();
        this.#tell((listener) => listener.onSent?.());
      },
      onUnsent: () => {
        observer.onUnsent();
        this.#tell((listener) => listener.onUnsent?.());
      },
      onHead: (status, headers) => {
        observer.onHead(status, headers);
        this.#tell((listener) => listener.onHead?.(status, headers));
      },
      onBytes: (chunk) => {
        observer.onBytes(chunk);
        this.#tell((listener) => listener.onBytes?.(chunk));
      },
      onEnd: () => {
        observer.onEnd();
        this.#tell((listener) => listener.onEnd?.());
      },
      onReadOn: () => {
        observer.onReadOn();
        this.#tell((listener) => listener.onReadOn?.());
      },
      onClientBytes: (chunk) => {
        observer.onClientBytes(chunk);
        this.#tell((listener) => listener.onClientBytes?.(chunk));
      },
    };
  }

  watchClient(inner: ClientResponse): ClientResponse {
    if (!this.#listeners.some(({ onClientHead }) => onClientHead !== undefined)) return inner;
    return new WatchedResponse(inner, (status, headers, sink) =>
      this.#tell((listener) => {
        const keep = listener.onClientHead?.(status, headers);
        if (keep !== undefined) this.#listenTo(sink, keep);
      }),
    );
  }

  #listenTo(sink: Writable, keep: (chunk: Uint8Array | string) => void): void {
    let isBroken = false;
    const hear = (chunk: unknown): void => {
      if (isBroken || !(typeof chunk === 'string' || chunk instanceof Uint8Array)) return;
      try {
        keep(chunk);
      } catch (thrown) {
        isBroken = true;
        this.#onFault(thrown);
      }
    };
    const { write, end } = sink;
    sink.write = (...given: unknown[]) => {
      hear(given[0]);
      return Reflect.apply(write, sink, given);
    };
    sink.end = (...given: unknown[]) => {
      hear(given[0]);
      return Reflect.apply(end, sink, given);
    };
  }

  #tell(tell: (listener: ExchangeListener) => void): void {
    let broken: ExchangeListener[] | undefined;
    for (const listener of this.#listeners) {
      try {
        tell(listener);
      } catch (thrown) {
        (broken ??= []).push(listener);
        this.#onFault(thrown);
      }
    }
    if (broken !== undefined) this.#leave(broken);
  }

  #leave(listeners: readonly ExchangeListener[]): void {
    for (const listener of listeners) {
      const at = this.#listeners.indexOf(listener);
      if (at !== -1) this.#listeners.splice(at, 1);
    }
  }
}

/** A class: an object with a getter of its own would be of a shape of its own, which costs the collector dearly. */
class WatchedResponse implements ClientResponse {
  readonly #inner: ClientResponse;
  readonly #onStart: (status: number, headers: readonly HeaderPair[], sink: Writable) => void;

  constructor(
    inner: ClientResponse,
    onStart: (status: number, headers: readonly HeaderPair[], sink: Writable) => void,
  ) {
    this.#inner = inner;
    this.#onStart = onStart;
  }

  get headersSent(): boolean {
    return this.#inner.headersSent;
  }

  start(status: number, headers: readonly HeaderPair[], reasonPhrase?: string): Writable {
    const sink = this.#inner.start(status, headers, reasonPhrase);
    this.#onStart(status, headers, sink);
    return sink;
  }

  dropRequestBody(): void {
    this.#inner.dropRequestBody();
  }

  breakOff(): void {
    this.#inner.breakOff();
  }
}
