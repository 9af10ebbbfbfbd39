/**
 * What the way of a request tells whoever looks at exchanges: the inspector's recorder, and the cache doctor. A watcher
 * sees what passes and changes nothing; it must be quick, wait for nothing and keep no piece of what it sees but as a
 * copy. What it throws is told, and the request does not feel it (`guardWatcher`).
 */
import type { RequestRecord } from '../domain/request-record.ts';
import type { Principal } from '../domain/principal.ts';
import type { Body } from '../http/body.ts';
import type { ClientRequest, ClientResponse } from '../http/message.ts';
import type { ResponseObserver } from '../upstream/upstream.ts';

/** Looks at exchanges. */
export interface ExchangeWatcher {
  /** A request has come; undefined: this one is not looked at. Its record ends with the event `ended`. */
  open(record: RequestRecord, clientRequest: ClientRequest): ExchangeWatch | undefined;
}

/** Looks at one exchange, in the order of its way; it may end after any of these. */
export interface ExchangeWatch {
  /** The caller is known. */
  onCaller(principal: Principal | undefined): void;
  /** The body is there. It may be released as soon as the request has left: what is kept is a copy. */
  onBody(body: Body): void;
  /** Limits let it in. */
  onAdmitted(): void;
  /** An observer that sees what this one sees, and tells it on. */
  watchUpstream(observer: ResponseObserver): ResponseObserver;
  /** A response that sees what goes to the client, and hands it on. */
  watchClient(clientResponse: ClientResponse): ClientResponse;
  /** The way is over; the ledger's row may still come. */
  onEnd(): void;
}

/** Several watchers as one. */
export function joinWatchers(watchers: readonly ExchangeWatcher[]): ExchangeWatcher | undefined {
  if (watchers.length < 2) return watchers[0];
  return {
    open: (record, clientRequest) => {
      const watches = watchers.map((each) => each.open(record, clientRequest)).filter((each) => each !== undefined);
      return watches.length < 2 ? watches[0] : joinWatches(watches);
    },
  };
}

function joinWatches(watches: readonly ExchangeWatch[]): ExchangeWatch {
  const all = (tell: (watch: ExchangeWatch) => void): void => watches.forEach(tell);
  return {
    onCaller: (principal) => all((watch) => watch.onCaller(principal)),
    onBody: (body) => all((watch) => watch.onBody(body)),
    onAdmitted: () => all((watch) => watch.onAdmitted()),
    watchUpstream: (observer) => watches.reduce((watched, watch) => watch.watchUpstream(watched), observer),
    watchClient: (response) => watches.reduce((watched, watch) => watch.watchClient(watched), response),
    onEnd: () => all((watch) => watch.onEnd()),
  };
}

/**
 * A watcher that no request feels: it is told after those on the way, and once it has thrown, it sees no more of that
 * exchange.
 */
export function guardWatcher(watcher: ExchangeWatcher, onFault: (thrown: unknown) => void): ExchangeWatcher {
  return {
    open: (record, clientRequest) => {
      try {
        const watch = watcher.open(record, clientRequest);
        return watch && guardWatch(watch, onFault);
      } catch (thrown) {
        onFault(thrown);
        return undefined;
      }
    },
  };
}

function guardWatch(watch: ExchangeWatch, onFault: (thrown: unknown) => void): ExchangeWatch {
  let isBroken = false;
  const tell = (work: () => void): void => {
    if (isBroken) return;
    try {
      work();
    } catch (thrown) {
      isBroken = true;
      onFault(thrown);
    }
  };
  return {
    onCaller: (principal) => tell(() => watch.onCaller(principal)),
    onBody: (body) => tell(() => watch.onBody(body)),
    onAdmitted: () => tell(() => watch.onAdmitted()),
    watchUpstream: (observer) => {
      let seen: ResponseObserver = UNHEARD;
      tell(() => (seen = watch.watchUpstream(UNHEARD)));
      return {
        onAttempt: (...facts) => {
          observer.onAttempt(...facts);
          tell(() => seen.onAttempt(...facts));
        },
        onReturn: (...facts) => {
          observer.onReturn(...facts);
          tell(() => seen.onReturn(...facts));
        },
        onReplayed: (recording) => {
          observer.onReplayed(recording);
          tell(() => seen.onReplayed(recording));
        },
        onSigned: (sent) => {
          observer.onSigned(sent);
          tell(() => seen.onSigned(sent));
        },
        onSent: () => {
          observer.onSent();
          tell(() => seen.onSent());
        },
        onUnsent: () => {
          observer.onUnsent();
          tell(() => seen.onUnsent());
        },
        onHead: (...head) => {
          observer.onHead(...head);
          tell(() => seen.onHead(...head));
        },
        onBytes: (chunk) => {
          observer.onBytes(chunk);
          tell(() => seen.onBytes(chunk));
        },
        onEnd: () => {
          observer.onEnd();
          tell(() => seen.onEnd());
        },
        onReadOn: () => {
          observer.onReadOn();
          tell(() => seen.onReadOn());
        },
        onClientBytes: (chunk) => {
          observer.onClientBytes(chunk);
          tell(() => seen.onClientBytes(chunk));
        },
      };
    },
    watchClient: (clientResponse) => {
      let watched: ClientResponse | undefined;
      tell(() => (watched = watch.watchClient(clientResponse)));
      return watched ?? clientResponse;
    },
    onEnd: () => tell(() => watch.onEnd()),
  };
}

const UNHEARD: ResponseObserver = {
  onAttempt: () => {},
  onReturn: () => {},
  onReplayed: () => {},
  onSigned: () => {},
  onSent: () => {},
  onUnsent: () => {},
  onHead: () => {},
  onBytes: () => {},
  onEnd: () => {},
  onReadOn: () => {},
  onClientBytes: () => {},
};
