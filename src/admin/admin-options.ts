/**
 * What the admin API needs of the rest of the house, and the shape of its handler. Types only.
 */
import type { WallClock } from '../lib/clock.ts';
import type { CassetteState } from '../cassette/run-report.ts';
import type { FaultBoard } from '../faults/board.ts';
import type { FailureLimit } from '../auth/failure-limit.ts';
import type { ClientRequest, ClientResponse } from '../http/message.ts';
import type { Store } from '../domain/store.ts';

/** What the admin API needs of the rest of the program. */
export interface AdminOptions {
  readonly store: Store;
  /** Undefined closes all but the document, and what a virtual key may ask about itself. */
  readonly masterKey: string | undefined;
  /** Read when the first key is made: a server that makes none needs none. */
  readonly loadServerSecret: () => Buffer;
  readonly failures: FailureLimit;
  readonly nowMs: WallClock;
  readonly randomBytes: (size: number) => Buffer;
  readonly faults: FaultBoard;
  /** What was played and missed; undefined: there is no cassette. */
  readonly readCassette?: (() => CassetteState) | undefined;
  /** Of the proxy, for the OpenAPI document. */
  readonly version: string;
}

/** Serves one request to its end, and answers its own errors. */
export type AdminHandler = (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void>;
