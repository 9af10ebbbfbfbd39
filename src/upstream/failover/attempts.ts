/**
 * Asks one upstream after the other, until one does not throttle or fail, or nothing is left to ask. Before the first
 * byte of a response has gone to the client, and never after. What AWS said last passes unchanged if nobody did better.
 */
import type { MonotonicClock, WallClock } from '../../lib/clock.ts';
import { ProxyError, toAbortError } from '../../lib/errors.ts';
import { findHeader } from '../../http/message.ts';
import type { FailedAttempt } from '../../domain/request-record.ts';
import type { Attempt, HeldResponse, ResponseObserver, ResponsePolicy, Upstream, Way } from '../upstream.ts';
import type { Asked, AttemptTicket, UpstreamHealth } from './health.ts';
import {
  FAILOVER_JUDGE,
  findResponseTrouble,
  findTrouble,
  isUpstreamTrouble,
  isWorthAnother,
  readRetryAfterMs,
} from './verdict.ts';

/** An upstream that may be asked. */
export interface Candidate {
  readonly name: string;
  readonly weight: number;
  readonly maxInFlight: number | undefined;
  readonly way: Way;
  readonly upstream: Pick<Upstream, 'send'>;
  readonly health: UpstreamHealth;
}

/** What attempts need besides. */
export interface AttemptsContext {
  readonly observer: ResponseObserver;
  readonly policy: ResponsePolicy;
  /** What rests if the upstream throttles. */
  readonly model: string;
  /** Counted from the first attempt: none begins later. */
  readonly deadlineMs: number;
  readonly tickMs: MonotonicClock;
  readonly nowMs: WallClock;
  /** Told which one has begun to respond as it should. */
  readonly onServed: (candidate: Candidate) => void;
}

/** In a second or so some of the requests under way are over. */
const FULL_RETRY_SECONDS = 1;

/** The last that AWS said, and which way it came. */
interface Kept {
  readonly held: HeldResponse;
  readonly way: Way;
}

/**
 * `candidates`: in the order in which they are asked; those that rest are asked last. Resolves as `Upstream.send`.
 * Throws as that does, and ERR_UPSTREAMS_FULL if all of them have as many requests under way as they may.
 */
export async function makeAttempts(
  attempt: Attempt,
  candidates: readonly Candidate[],
  context: AttemptsContext,
): Promise<void> {
  const { observer, model, deadlineMs, tickMs } = context;
  const { signal } = attempt.clientRequest;
  const left = [...candidates];
  const begunTick = tickMs();
  let kept: Kept | undefined;
  let failed: FailedAttempt | undefined;
  let failure: unknown;
  while (failed === undefined || tickMs() - begunTick < deadlineMs) {
    const next = takeNext(left, model, attempt.conversation.owner);
    if (next === undefined) break;
    observer.onAttempt(next.way, failed);
    const outcome = await tryOne(attempt, next, { ...context, isAlone: candidates.length === 1 });
    if (outcome === undefined) return;
    if ('held' in outcome) kept = { held: outcome.held, way: next.way };
    else failure = outcome.error;
    failed = outcome.failed;
    if (signal.aborted) throw toAbortError(signal);
    if (outcome.isLast) break;
  }
  if (failed === undefined) throw allFull(candidates);
  if (kept === undefined) throw failure;
  observer.onReturn(kept.way, kept.way.upstream === failed.upstream ? undefined : failed);
  await kept.held.release();
}

/** The first that is ready and has room; else the one whose rest ends first. It is taken out of the list. */
function takeNext(left: Candidate[], model: string, owner: string): Candidate | undefined {
  const open = left.filter(({ health, maxInFlight }) => maxInFlight === undefined || health.inFlight < maxInFlight);
  const ready = open.find(({ health, way }) => health.readinessOf(askedOf(way, model, owner)) !== 'resting');
  const restsUntil = ({ health, way }: Candidate): number => health.restsUntilTick(askedOf(way, model, owner));
  const [soonest] = open.toSorted((a, b) => restsUntil(a) - restsUntil(b));
  const next = ready ?? soonest;
  if (next !== undefined) left.splice(left.indexOf(next), 1);
  return next;
}

function askedOf({ route: { origin } }: Way, model: string, owner: string): Asked {
  return { origin, model, owner };
}

/** `isLast`: another upstream is not to be asked. */
type Outcome = { readonly failed: FailedAttempt; readonly isLast: boolean } & (
  | { readonly held: HeldResponse }
  | { readonly error: ProxyError }
);

/** Undefined: the client has the response. Throws if it has a part of one or has left, and for faults of ours. */
async function tryOne(
  attempt: Attempt,
  candidate: Candidate,
  context: AttemptsContext & { readonly isAlone: boolean },
): Promise<Outcome | undefined> {
  const { name, way, health, upstream } = candidate;
  const { policy, nowMs, model, isAlone } = context;
  const ticket = health.begin(askedOf(way, model, attempt.conversation.owner));
  const watch = watchAttempt(candidate, ticket, context);
  const prepared = { ...attempt.prepared, route: way.route };
  try {
    const judge = isAlone ? undefined : FAILOVER_JUDGE;
    const held = await upstream.send({ ...attempt, prepared, judge }, watch.observer, policy);
    if (held === undefined) return undefined;
    const { status, headers, errorType } = held;
    // AWS bills nothing of it: a client that leaves now has cost nothing.
    context.observer.onUnsent();
    ticket.fail(findResponseTrouble(status, errorType), readRetryAfterMs(headers, nowMs()));
    return { held, failed: { upstream: name, kind: 'refused', code: errorType ?? String(status) }, isLast: false };
  } catch (thrown) {
    const { clientRequest, clientResponse, principal } = attempt;
    if (!(thrown instanceof ProxyError) || clientResponse.headersSent || clientRequest.signal.aborted) throw thrown;
    const isLast = !isWorthAnother(thrown);
    const trouble = isLast ? undefined : findTrouble(thrown, principal);
    if (trouble !== undefined) ticket.fail(trouble, undefined);
    const kind = watch.wasSent() ? 'lost' : 'unsent';
    return { error: thrown, failed: { upstream: name, kind, code: thrown.code }, isLast };
  } finally {
    watch.end();
    ticket.end();
  }
}

/**
 * Sees how a response begins that goes to the client, and whether the request has left. After its end it sees nothing:
 * a response that was held may still pass.
 */
function watchAttempt(candidate: Candidate, ticket: AttemptTicket, context: AttemptsContext) {
  const { observer, nowMs, onServed } = context;
  let wasSent = false;
  let isOver = false;
  const watched: ResponseObserver = {
    ...observer,
    onSent: () => {
      wasSent = true;
      observer.onSent();
    },
    onUnsent: () => {
      wasSent = false;
      observer.onUnsent();
    },
    onHead: (status, headers) => {
      observer.onHead(status, headers);
      if (isOver) return;
      if (isUpstreamTrouble(status, headers)) {
        const trouble = findResponseTrouble(status, findHeader(headers, 'x-amzn-errortype'));
        ticket.fail(trouble, readRetryAfterMs(headers, nowMs()));
      } else ticket.succeed();
      if (status < 300) onServed(candidate);
    },
  };
  return { observer: watched, wasSent: () => wasSent, end: () => void (isOver = true) };
}

function allFull(candidates: readonly Candidate[]): ProxyError {
  const names = candidates.map(({ name }) => name).join(', ');
  return new ProxyError(
    'ERR_UPSTREAMS_FULL',
    `As many requests are under way at the proxy's upstreams (${names}) as its owner allows.`,
    { hint: 'Try again when some of them are over.', retryAfterSeconds: FULL_RETRY_SECONDS },
  );
}
