/**
 * What happens to a request, as events: access log, metrics and traces subscribe. Accounting does not: it must not
 * fail, and is called in order.
 */
import type { FailedAttempt, RequestRecord } from './request-record.ts';

/** Gets the events that it has a function for. The functions must be quick and must change nothing. */
export interface RequestSubscriber {
  /** A request has come; little is known of it. */
  began?(record: RequestRecord): void;
  /** It may go: principal, route and model are known. */
  admitted?(record: RequestRecord): void;
  /** It is signed and about to leave. */
  attemptStarted?(record: RequestRecord): void;
  /** An attempt has failed that the client sees nothing of; another one may follow. */
  attemptFailed?(record: RequestRecord, failed: FailedAttempt): void;
  /** The upstream's response begins; `record.isStreamed`: an event stream, server-sent events or a WebSocket. */
  responseStarted?(record: RequestRecord): void;
  /** Bytes of the response's body, as they pass. They must be neither kept nor changed. */
  bytes?(record: RequestRecord, chunk: Uint8Array): void;
  /**
   * It is over and its ledger row is written. Called once, also for a request that was refused before anything else.
   */
  ended?(record: RequestRecord): void;
}

/** The events that the stages emit. None of the functions throws; with no subscriber each costs a branch. */
export type RequestEvents = Required<RequestSubscriber>;

/** Calls all subscribers in their order. What one throws goes to `onFault`, and the others are called all the same. */
export function createRequestEvents(
  subscribers: readonly RequestSubscriber[],
  onFault: (thrown: unknown) => void,
): RequestEvents {
  const to = <Facts extends unknown[]>(
    find: (subscriber: RequestSubscriber) => ((...facts: Facts) => void) | undefined,
  ): ((...facts: Facts) => void) => {
    const listeners = subscribers.map(find).filter((listener) => listener !== undefined);
    if (listeners.length === 0) return () => {};
    return (...facts) => {
      for (const listener of listeners) {
        try {
          listener(...facts);
        } catch (thrown) {
          onFault(thrown);
        }
      }
    };
  };
  return {
    began: to((subscriber) => subscriber.began?.bind(subscriber)),
    admitted: to((subscriber) => subscriber.admitted?.bind(subscriber)),
    attemptStarted: to((subscriber) => subscriber.attemptStarted?.bind(subscriber)),
    attemptFailed: to((subscriber) => subscriber.attemptFailed?.bind(subscriber)),
    responseStarted: to((subscriber) => subscriber.responseStarted?.bind(subscriber)),
    bytes: to((subscriber) => subscriber.bytes?.bind(subscriber)),
    ended: to((subscriber) => subscriber.ended?.bind(subscriber)),
  };
}
