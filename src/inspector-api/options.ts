/** What the inspector's API needs of the rest of the program, and the shape of its handler. Types only. */
import type { FailureLimit } from '../auth/failure-limit.ts';
import type { CassetteState } from '../cassette/run-report.ts';
import type { FaultBoard } from '../faults/board.ts';
import type { ClientRequest, ClientResponse } from '../http/message.ts';
import type { Exchange, ExchangeSource } from '../inspector/exchange.ts';
import type { ExportFormat } from '../inspector/export-exchanges.ts';
import type { CacheView, ExplanationView, InspectorState, ReplayOffer, ReplayRequest } from '../inspector/wire.ts';
import type { WallClock } from '../lib/clock.ts';

/** `master`: it may change whatever the server is bound to. */
export type InspectorCaller = 'token' | 'master';

/** What is kept from now on. */
export interface CaptureSwitch {
  readonly isOn: boolean;
  /** Epoch milliseconds; undefined: until it is switched off. */
  readonly untilMs: number | undefined;
  /** Undefined minutes: until it is switched off. */
  set(isOn: boolean, minutes: number | undefined): Promise<void>;
}

/** A file to be downloaded. */
export interface ExportedFile {
  readonly name: string;
  readonly contentType: string;
  readonly body: Buffer;
}

/** The parts of the inspector's API. */
export interface InspectorOptions {
  readonly source: ExchangeSource;
  /** That of this process; shown to its owner alone. */
  readonly token: string;
  readonly masterKey: string | undefined;
  readonly failures: FailureLimit;
  readonly nowMs: WallClock;
  /** Whether others than this machine reach the port. Then changes want the master key. */
  readonly isRemote: boolean;
  /**
   * Added to cursors of the source, so that one of a process before this one, or of a worker beside it, is known to be
   * none of this source.
   */
  readonly firstCursor: number;
  /** Undefined: nothing is sent that a fault could befall. */
  readonly faults: FaultBoard | undefined;
  /** What was played and missed; undefined: there is no cassette. */
  readonly readCassette?: (() => CassetteState) | undefined;
  /** What of the state the source does not know. */
  readonly tellState: () => Pick<InspectorState, 'version' | 'region' | 'mode' | 'url' | 'upstreams'>;
  /** Undefined: what is kept is decided at the start. */
  readonly capture: CaptureSwitch | undefined;
  readonly findCache: (id: string) => CacheView | undefined;
  /** With both texts of what changed, if the content is kept. */
  readonly findCacheTexts: (id: string) => Promise<CacheView | undefined>;
  readonly explain: (exchange: Exchange) => ExplanationView | undefined;
  /** Undefined: nothing can be replayed here. */
  readonly replay:
    | {
        offer(exchange: Exchange, caller: InspectorCaller): Promise<ReplayOffer>;
        send(exchange: Exchange, request: ReplayRequest, caller: InspectorCaller): Promise<{ readonly id: string }>;
      }
    | undefined;
  readonly exportAs: (
    format: ExportFormat,
    exchanges: readonly Exchange[],
    isSanitized: boolean,
  ) => Promise<ExportedFile>;
}

/** Serves one request to its end, and sends its own errors. */
export type InspectorHandler = (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void>;
