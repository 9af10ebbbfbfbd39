/**
 * What the way of a request tells whoever looks at exchanges: the inspector's recorder, and the cache doctor. A watcher
 * sees what passes and changes nothing; it must be quick, wait for nothing and keep no piece of what it sees but as a
 * copy. It must not throw.
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
