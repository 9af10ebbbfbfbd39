/** Where the time of an exchange went. Pure. */
import { findHeader } from '../../http/message.ts';
import { asObject, isObject } from '../../lib/json.ts';
import type { Exchange, ExchangeTimes, KeptBody } from '../exchange.ts';
import type { TimingView } from '../wire.ts';
import { bytesOfFrame, indexFrames } from './frame-index.ts';
import { contentTypeOf, responseOf } from './kept-body.ts';
import { isObjectPayload, readJson } from './payload.ts';
import { readPlainBody } from './plain-body.ts';
import { createDecoder, roundMicros } from './view-frames.ts';

/** The steps, and the moment at which each one ends. */
const STEPS: readonly (readonly [name: string, end: (times: ExchangeTimes) => number | undefined])[] = [
  ['authenticate', ({ authenticatedMs }) => authenticatedMs],
  ['body', ({ bodyReadMs }) => bodyReadMs],
  ['admit', ({ admittedMs }) => admittedMs],
  ['sign', ({ signedMs }) => signedMs],
  ['connect', ({ sentMs }) => sentMs],
  ['wait', ({ firstByteMs, headMs }) => firstByteMs ?? headMs],
  ['response', ({ lastByteMs }) => lastByteMs],
  ['settle', ({ endedMs }) => endedMs],
];
/** The proxy's own part, before the request leaves. */
const OWN_STEPS: ReadonlySet<string> = new Set(['authenticate', 'admit', 'sign']);

const MAX_PIECES = 2_000;
/** A body that is read for the one number that it tells of time. */
const MAX_READ_BYTES = 4 * 1024 * 1024;
/** The number stands in one of the last events. */
const LAST_FRAMES = 3;

/** Steps without overlap, and when the pieces of the response came. */
export function viewTiming(exchange: Exchange): TimingView {
  const { times, row } = exchange;
  const steps = listSteps(times);
  const own = steps.filter(({ name }) => OWN_STEPS.has(name)).reduce((sum, step) => sum + step.to_ms - step.from_ms, 0);
  const chunks = responseOf(exchange)?.body?.chunks() ?? [];
  const every = Math.max(1, Math.ceil(chunks.length / MAX_PIECES));
  return {
    steps,
    total_ms: times.endedMs ?? row.totalMs ?? null,
    overhead_ms: times.signedMs === undefined ? null : roundMicros(own),
    model_latency_ms: findModelLatency(exchange) ?? null,
    pieces: chunks.filter((_, index) => index % every === 0).map(({ atMs, sizeBytes }) => [atMs, sizeBytes] as const),
  };
}

/** A moment that is not known belongs to the step that follows it; one that was overtaken takes no time. */
function listSteps(times: ExchangeTimes): TimingView['steps'] {
  let from = 0;
  return STEPS.flatMap(([name, endOf]) => {
    const end = endOf(times);
    if (end === undefined) return [];
    const step = { name, from_ms: from, to_ms: Math.max(from, end) };
    from = step.to_ms;
    return [step];
  });
}

/** What was found of a body, as long as it does not grow: a list asks for each of its rows again and again. */
const GAPS = new WeakMap<KeptBody, { readonly sizeBytes: number; readonly gapMs: number | undefined }>();

/** The longest pause between two pieces of a response; undefined if it came in one. */
export function findLongestGap(body: KeptBody | undefined): number | undefined {
  if (body === undefined) return undefined;
  const known = GAPS.get(body);
  if (known?.sizeBytes === body.sizeBytes) return known.gapMs;
  const chunks = body.chunks();
  const gaps = chunks.slice(1).map(({ atMs }, index) => atMs - (chunks[index]?.atMs ?? 0));
  const gapMs = gaps.length === 0 ? undefined : roundMicros(gaps.reduce((most, gap) => Math.max(most, gap)));
  GAPS.set(body, { sizeBytes: body.sizeBytes, gapMs });
  return gapMs;
}

/** How long the model took, as AWS says in a header, in the body, or in one of the last events. */
function findModelLatency(exchange: Exchange): number | undefined {
  const response = responseOf(exchange);
  if (response === undefined) return undefined;
  const header = findHeader(response.message.headers, 'x-amzn-bedrock-invocation-latency');
  if (header !== undefined && /^\d{1,9}$/.test(header)) return Number(header);
  if (contentTypeOf(response.message) === 'application/json') {
    if ((response.body?.sizeBytes ?? 0) > MAX_READ_BYTES) return undefined;
    const plain = readPlainBody(response.message, response.body, 'body');
    return 'bytes' in plain ? readLatency(readJson(plain.bytes)) : undefined;
  }
  const index = indexFrames(exchange);
  if (index.protocol !== 'aws-event-stream') return undefined;
  const decode = createDecoder(exchange, index.protocol);
  for (const span of index.spans.slice(-LAST_FRAMES)) {
    const { payload } = decode(bytesOfFrame(span));
    const found = isObjectPayload(payload) ? readLatency(payload.json) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function readLatency(json: unknown): number | undefined {
  if (!isObject(json)) return undefined;
  const { latencyMs } = asObject(json['metrics']);
  const { invocationLatency } = asObject(asObject(json['bytes'])['amazon-bedrock-invocationMetrics']);
  return [latencyMs, invocationLatency].find((value) => typeof value === 'number');
}
