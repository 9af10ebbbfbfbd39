/**
 * A cassette in use: what was played, recorded and missed, and an upstream that plays, records, or both.
 */
import { MACHINE_TICKS, type MonotonicClock, type WallClock } from '../lib/clock.ts';
import { ProxyError, toProxyError } from '../lib/errors.ts';
import { inferenceProfilesOf } from '../domain/principal.ts';
import type { Body } from '../http/body.ts';
import { findHeader } from '../http/message.ts';
import { carriesCredentials } from '../operations/find-facts.ts';
import { useInferenceProfile } from '../routing/inference-profile.ts';
import type { Attempt, HeldResponse, ResponseObserver, ResponsePolicy, Upstream } from '../upstream/upstream.ts';
import { Capture, CaptureRoom } from './capture.ts';
import { createDeck, type Deck, parseCassetteScope, type Taken } from './deck.ts';
import { beginCassette, loadCassette, type LoadedCassette, numberOf } from './directory.ts';
import { type Miss, missError } from './miss.ts';
import { play } from './player.ts';
import { keptHeaders, Recorder } from './recorder.ts';
import type { MatchableRequest, RecordedEnd } from './recording.ts';
import { type CassetteState, RunReport } from './run-report.ts';

/** How a cassette is used. */
export interface CassetteOptions {
  readonly directory: string;
  /** `auto`: what has no recording is asked for, and recorded. `record`: everything is. */
  readonly mode: 'replay' | 'auto' | 'record';
  /** 1: as recorded; 10: ten times as fast; Infinity: at once. */
  readonly speed: number;
  /** Whether a response with this status is not recorded. */
  readonly skips: (status: number) => boolean;
  readonly version: string;
  readonly nowMs: WallClock;
  readonly tickMs?: MonotonicClock;
  /** Told what could not be recorded, and why. */
  readonly onProblem: (error: ProxyError) => void;
}

const MAX_MISSES = 100;
const SCOPE_HEADER = 'x-bedrock-proxy-cassette';

/** Reads the cassette. Throws ERR_BAD_OPTION if it cannot be used. */
export async function openCassette(options: CassetteOptions): Promise<Cassette> {
  const { directory, mode, version, nowMs } = options;
  if (mode !== 'replay') beginCassette(directory, version, new Date(nowMs()));
  return new Cassette(options, await loadCassette(directory));
}

/** State: what was played, recorded and missed. */
export class Cassette {
  readonly #options: CassetteOptions;
  readonly #loaded: LoadedCassette;
  readonly #deck: Deck;
  readonly #recorder: Recorder;
  readonly #room = new CaptureRoom();
  readonly #lastNumbers = new Map<string, number>();
  /** Those of before that were recorded anew. */
  readonly #replaced = new Set<string>();
  readonly #report: RunReport;
  /** The first of them, for the end. */
  readonly #misses: Miss[] = [];

  constructor(options: CassetteOptions, loaded: LoadedCassette) {
    this.#options = options;
    this.#loaded = loaded;
    const { rules, recordings, openBlob } = loaded;
    // What is recorded anew takes the place of what is there, each of them once.
    const inForce = options.mode === 'replay' ? rules : ({ ...rules, repeat: 'never' } as const);
    this.#deck = createDeck(recordings, options.mode === 'auto' ? rules : inForce, openBlob);
    this.#recorder = new Recorder(options.directory, rules, options.onProblem);
    this.#report = new RunReport({
      directory: options.directory,
      mode: options.mode,
      nowMs: options.nowMs,
      listUnused: () => this.#deck.unused(),
      countRecorded: () => this.#recorder.recorded,
      onFault: (cause) =>
        options.onProblem(
          new ProxyError('ERR_INTERNAL', 'What a run missed cannot be written into the cassette.', { cause }),
        ),
    });
    for (const { name } of recordings) {
      const [scope, last] = splitName(name);
      this.#lastNumbers.set(scope, Math.max(this.#lastNumbers.get(scope) ?? 0, numberOf(last)));
    }
  }

  get state(): CassetteState {
    return this.#report.readState();
  }

  /** The first of them, at most a hundred. */
  get misses(): readonly Miss[] {
    return this.#misses;
  }

  /** Resolves when everything is written. */
  async close(): Promise<void> {
    await this.#recorder.flush();
    this.#report.finish();
  }

  /** `18 played, 1 missed, 2 unused`. */
  describe(): string {
    return this.#report.summarize();
  }

  /** An upstream that plays; `live`: who is asked for what is recorded. */
  open(upstream: Upstream): Upstream {
    const { mode } = this.#options;
    const live = mode === 'replay' ? undefined : upstream;
    return {
      name: live?.name ?? 'cassette',
      findWays:
        live === undefined
          ? (route, principal) => [
              { upstream: undefined, route: useInferenceProfile(route, inferenceProfilesOf(principal)) },
            ]
          : (route, principal) => live.findWays(route, principal),
      send: async (attempt, observer, policy) => {
        // What hands out credentials, or takes them in, is recorded by nobody, and so never played.
        if (live !== undefined && carriesCredentials(attempt.prepared.route))
          return live.send(attempt, observer, policy);
        const scope = scopeOf(attempt);
        const request = await toMatchable(attempt);
        const taken = this.#deck.take(request, scope);
        if (mode !== 'record' && 'recording' in taken) {
          this.#report.notePlayed();
          const { openBlob } = this.#loaded;
          await play(attempt, { named: taken, openBlob, speed: this.#options.speed }, observer, policy);
          return undefined;
        }
        // Written down before it is thrown: who has the response may look into the file at once.
        if (live === undefined) throw this.#miss(taken);
        return this.#record({ attempt, observer, policy, live }, { request, scope, taken });
      },
    };
  }

  #miss(taken: Taken): ProxyError {
    if (!('miss' in taken)) return new ProxyError('ERR_INTERNAL', 'A recording that is there was not played.');
    const { miss } = taken;
    this.#report.noteMiss(miss);
    if (this.#misses.length < MAX_MISSES) this.#misses.push(miss);
    return missError(miss);
  }

  async #record(
    { attempt, observer, policy, live }: LiveExchange,
    { request, scope, taken }: SoughtRecording,
  ): Promise<HeldResponse | undefined> {
    const capture = new Capture(this.#room, this.#options.tickMs ?? MACHINE_TICKS);
    const number = (this.#lastNumbers.get(scope) ?? 0) + 1;
    const replaces = 'recording' in taken && !this.#replaced.has(taken.name) ? taken.name : undefined;
    if (replaces === undefined) this.#lastNumbers.set(scope, number);
    else this.#replaced.add(replaces);
    const { streaming } = attempt.prepared.route;
    const keep = (end: RecordedEnd | undefined): void => {
      const isWanted = end !== undefined && capture.status !== undefined && !this.#options.skips(capture.status);
      if (capture.isTooLarge) this.#options.onProblem(tooLarge());
      if (!isWanted || capture.isTooLarge) return capture.release();
      this.#recorder.record({
        request,
        capture,
        end,
        isStream: streaming !== 'none',
        isBidirectional: streaming === 'bidirectional',
        scope,
        place: replaces === undefined ? { number } : { replaces },
      });
    };
    try {
      const held = await live.send(attempt, capture.watch(observer), policy);
      keep('complete');
      return held;
    } catch (thrown) {
      keep(endOf(toProxyError(thrown), capture));
      throw thrown;
    }
  }
}

interface LiveExchange {
  readonly attempt: Attempt;
  readonly observer: ResponseObserver;
  readonly policy: ResponsePolicy;
  readonly live: Upstream;
}

interface SoughtRecording {
  readonly request: MatchableRequest;
  readonly scope: string;
  readonly taken: Taken;
}

/** Undefined: it is no recording, because the client left early, or because nothing came. */
function endOf(error: ProxyError, { hasEnded }: Capture): RecordedEnd | undefined {
  if (hasEnded) return 'complete';
  if (error.code !== 'ERR_UPSTREAM_RESET') return undefined;
  return error.detail === 'ECONNRESET' ? 'reset' : 'cut';
}

function tooLarge(): ProxyError {
  return new ProxyError('ERR_INTERNAL', 'A response was not recorded: it is too large.');
}

function scopeOf({ clientRequest }: Attempt): string {
  const header = findHeader(clientRequest.headers, SCOPE_HEADER);
  return header === undefined ? '' : parseCassetteScope(header);
}

async function toMatchable({ prepared, clientRequest }: Attempt): Promise<MatchableRequest> {
  const { route, headers, body } = prepared;
  const { path, query } = route.upstreamTarget;
  return {
    service: route.service,
    operation: route.operation ?? '',
    method: clientRequest.method,
    path,
    query: query ?? '',
    headers: keptHeaders(headers),
    body: await readAll(body),
  };
}

async function readAll({ chunks, spool }: Body): Promise<Buffer> {
  if (spool === undefined) return Buffer.concat(chunks);
  const pieces: Buffer[] = [];
  for await (const piece of spool.read()) pieces.push(piece);
  return Buffer.concat(pieces);
}

function splitName(name: string): readonly [scope: string, last: string] {
  const at = name.lastIndexOf('/');
  return [name.slice(0, Math.max(0, at)), name.slice(at + 1)];
}
