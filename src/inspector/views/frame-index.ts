/**
 * Where the frames of an exchange's response lie, and when they came: only positions, so that a page of frames is
 * decoded when it is asked for. A stream that grows is read on from where the last look ended.
 */
import { formatCount } from '../../lib/format.ts';
import { findContentCoding } from '../../http/unpack.ts';
import { findHeader } from '../../http/message.ts';
import { parseFrameHeaders } from '../../protocol/event-stream.ts';
import type { Exchange, KeptBody } from '../exchange.ts';
import type { FramesView } from '../wire.ts';
import {
  type Cut,
  cutEventStream,
  type CutFrame,
  cutServerSentEvents,
  type Cutter,
  cutWebSocket,
  findEventStreamStart,
  findServerSentStart,
  MAX_FRAMES,
  PRELUDE_BYTES,
} from './frame-cutters.ts';
import { bodyOf, contentTypeOf, fromKeptOffset, receivedOf, timeAt, toKeptOffset } from './kept-body.ts';
import { RecentCache } from './recent-cache.ts';

/** How the bytes of a response are divided. */
export type FrameProtocol = FramesView['protocol'];

/** A frame: where it lies in its body, and when its last byte came. */
export interface FrameSpan {
  readonly direction: 'in' | 'out';
  readonly body: KeptBody;
  /** In the whole body. */
  readonly offset: number;
  readonly sizeBytes: number;
  readonly atMs: number;
  /** An event that says that the stream has failed. */
  readonly isException: boolean;
}

/** All frames of an exchange so far, in the order in which they came. */
export interface FrameIndex {
  readonly protocol: FrameProtocol;
  readonly spans: readonly FrameSpan[];
  readonly end: FramesView['end'];
  readonly problem: string | undefined;
}

/** How one protocol is read. */
interface Framing {
  readonly cut: Cutter;
  /** Where reading can go on behind bytes that are not kept; undefined: nowhere. */
  readonly findStart: (bytes: Buffer, from: number) => number | undefined;
  readonly isException: (frame: Buffer) => boolean;
}

const FRAMINGS: Readonly<Record<Exclude<FrameProtocol, 'chunks'>, Framing>> = {
  'aws-event-stream': {
    cut: cutEventStream,
    findStart: findEventStreamStart,
    isException: isExceptionFrame,
  },
  sse: { cut: cutServerSentEvents, findStart: findServerSentStart, isException: isErrorEvent },
  websocket: { cut: cutWebSocket, findStart: () => undefined, isException: () => false },
};

/** One direction. State: how far it has been read. */
interface Lane {
  readonly spans: FrameSpan[];
  /** Among the kept bytes: where the next frame begins. */
  next: number;
  /** What had come when it was read, what was kept of it, and whether that was all. */
  readBytes: number;
  keptBytes: number;
  isRead: boolean;
  isFull: boolean;
  problem: string | undefined;
}

/** What was read of a body, some hundred bytes for a frame. Sources hand on the same object as long as it grows. */
const LANES = new RecentCache<KeptBody, Lane>(5 * MAX_FRAMES);

/** Finds the frames of what an exchange has got so far. */
export function indexFrames(exchange: Exchange): FrameIndex {
  const protocol = protocolOf(exchange);
  const problems: (string | undefined)[] = [describeFault(exchange)];
  const isOver = exchange.end !== 'open';
  const lanes = bodiesOf(exchange, protocol).map(([direction, body]) => {
    if (protocol === 'chunks') return indexChunks(body, direction);
    const lane = readLane(body, { direction, framing: FRAMINGS[protocol], isOver });
    problems.push(describeHole(body), lane.problem);
    return lane.spans;
  });
  if (protocol === 'chunks') problems.push(describeCoding(exchange));
  const spans = merge(lanes);
  const hasFailed = spans.some(({ isException }) => isException);
  return { protocol, spans, end: endOf(exchange, hasFailed, problems), problem: join(problems) };
}

/** The bytes of a frame. */
export function bytesOfFrame({ body, offset, sizeBytes }: FrameSpan, kept = body.read()): Buffer {
  const start = toKeptOffset(body, offset);
  return kept.subarray(start, start + sizeBytes);
}

function protocolOf(exchange: Exchange): FrameProtocol {
  const response = receivedOf(exchange);
  if (response === undefined) return 'chunks';
  const { status, headers } = response.message;
  if (status === 101 && findHeader(headers, 'upgrade')?.toLowerCase() !== 'h2c') return 'websocket';
  if (findContentCoding(headers) !== undefined) return 'chunks';
  const type = contentTypeOf(response.message);
  if (type === 'application/vnd.amazon.eventstream') return 'aws-event-stream';
  return type === 'text/event-stream' ? 'sse' : 'chunks';
}

function bodiesOf(exchange: Exchange, protocol: FrameProtocol): (readonly [FrameSpan['direction'], KeptBody])[] {
  const bodies: (readonly [FrameSpan['direction'], KeptBody])[] = [];
  const response = receivedOf(exchange)?.body;
  if (response !== undefined) bodies.push(['in', response]);
  const client = exchange.clientStream ?? streamedRequest(exchange, protocol);
  if (client !== undefined) bodies.push(['out', client]);
  return bodies;
}

/** A request whose body is an event stream itself. */
function streamedRequest(exchange: Exchange, protocol: FrameProtocol): KeptBody | undefined {
  const isStream = contentTypeOf(exchange.layers.clientRequest) === 'application/vnd.amazon.eventstream';
  return isStream && protocol === 'aws-event-stream' ? bodyOf(exchange, 'clientRequest') : undefined;
}

function readLane(
  body: KeptBody,
  { direction, framing, isOver }: { direction: FrameSpan['direction']; framing: Framing; isOver: boolean },
): Lane {
  const before = LANES.find(body);
  const lane = before === undefined || isOutdated(before, body, isOver) ? openLane() : before;
  const count = lane.spans.length;
  readOn(lane, body, { direction, framing, isOver });
  LANES.keep(body, lane, { size: lane.spans.length, added: lane.spans.length - count });
  return lane;
}

function readOn(
  lane: Lane,
  body: KeptBody,
  { direction, framing, isOver }: { direction: FrameSpan['direction']; framing: Framing; isOver: boolean },
): void {
  const { hole, sizeBytes } = body;
  if (lane.isRead || lane.isFull || (lane.readBytes === sizeBytes && !isOver && sizeBytes > 0)) return;
  const bytes = body.read();
  const chunks = body.chunks();
  const add = ({ start, end }: CutFrame): void => {
    const offset = fromKeptOffset(body, start);
    const atMs = timeAt(chunks, offset + end - start);
    const isException = framing.isException(bytes.subarray(start, end));
    lane.spans.push({ direction, body, offset, sizeBytes: end - start, atMs, isException });
  };
  const read = (part: Buffer, from: number, isWhole: boolean): Cut => {
    const cut = framing.cut(part, from, isWhole);
    cut.frames.slice(0, MAX_FRAMES - lane.spans.length).forEach(add);
    lane.isFull ||= lane.spans.length >= MAX_FRAMES;
    lane.next = cut.next;
    return cut;
  };
  let cut = read(hole === undefined ? bytes : bytes.subarray(0, hole.at), lane.next, isOver && hole === undefined);
  // What comes behind a hole changes as long as more comes.
  if (hole !== undefined && isOver && !lane.isFull) {
    const start = framing.findStart(bytes, hole.at);
    cut = start === undefined ? { frames: [], next: bytes.length } : read(bytes, start, true);
  }
  if (lane.isFull) lane.problem = `There are more than ${formatCount(MAX_FRAMES)} frames: these are the first.`;
  else
    lane.problem = isOver || cut.isLost === true ? describeRest(body, bytes.length, cut, lane.spans.length) : undefined;
  lane.readBytes = sizeBytes;
  lane.keptBytes = bytes.length;
  lane.isRead = isOver;
}

/** What was read is not kept any more, or another body is told as this one. */
function isOutdated(lane: Lane, { hole, sizeBytes }: KeptBody, isOver: boolean): boolean {
  if (lane.readBytes > sizeBytes || (lane.isRead && !isOver)) return true;
  // The end of one that grows gives way to what comes.
  return lane.isRead ? sizeBytes - (hole?.sizeBytes ?? 0) < lane.keptBytes : (hole?.at ?? sizeBytes) < lane.next;
}

function openLane(): Lane {
  return { spans: [], next: 0, readBytes: 0, keptBytes: 0, isRead: false, isFull: false, problem: undefined };
}

function describeRest(body: KeptBody, keptBytes: number, cut: Cut, count: number): string | undefined {
  const restBytes = keptBytes - cut.next;
  if (restBytes <= 0) return undefined;
  const at = fromKeptOffset(body, cut.next);
  if (cut.isLost === true) return `The bytes from ${at} on are no frames.`;
  const of = cut.expectedBytes === undefined ? '' : ` of ${cut.expectedBytes}`;
  return `The stream ended inside frame ${count + 1}: ${restBytes}${of} bytes of it came.`;
}

function describeHole({ hole }: KeptBody): string | undefined {
  return hole && `${hole.sizeBytes} bytes from ${hole.at} on are not kept (${hole.why}), nor the frames in them.`;
}

/** Of a fault that changed the body: the client's is kept besides the upstream's. */
function describeFault({ row: { fault }, layers }: Exchange): string | undefined {
  if (fault === undefined || layers.upstreamResponse === undefined || layers.clientResponse?.body === undefined)
    return undefined;
  return `The fault ${fault} changed what the upstream sent: this is what the client got.`;
}

/** The frames of a compressed stream cannot be told from each other before all of it is there. */
function describeCoding(exchange: Exchange): string | undefined {
  const coding = findContentCoding(receivedOf(exchange)?.message.headers ?? []);
  return coding === undefined
    ? undefined
    : `The response is compressed (${coding}): these are its pieces as they came.`;
}

/** Pieces as they came; of those that are not all kept, what is kept. */
function indexChunks(body: KeptBody, direction: FrameSpan['direction']): FrameSpan[] {
  const { hole } = body;
  return body.chunks().flatMap(({ offset, sizeBytes, atMs }) => {
    const parts: [from: number, to: number][] =
      hole === undefined
        ? [[offset, offset + sizeBytes]]
        : [
            [offset, Math.min(offset + sizeBytes, hole.at)],
            [Math.max(offset, hole.at + hole.sizeBytes), offset + sizeBytes],
          ];
    return parts
      .filter(([from, to]) => to > from)
      .map(([from, to]) => ({ direction, body, offset: from, sizeBytes: to - from, atMs, isException: false }));
  });
}

/** By time; of the same moment, those of the upstream first. */
function merge(lanes: readonly (readonly FrameSpan[])[]): readonly FrameSpan[] {
  const [first = [], second] = lanes;
  return second === undefined ? first : [...first, ...second].toSorted((left, right) => left.atMs - right.atMs);
}

function endOf(exchange: Exchange, hasFailed: boolean, problems: readonly unknown[]): FramesView['end'] {
  if (hasFailed) return 'exception';
  if (exchange.end === 'open') return 'open';
  const { upstreamResponse, clientResponse } = exchange.layers;
  const hasLess = (clientResponse?.body?.sizeBytes ?? Infinity) < (upstreamResponse?.body?.sizeBytes ?? 0);
  const isCut =
    exchange.end === 'cut' || exchange.end === 'client-gone' || (hasLess && exchange.row.fault !== undefined);
  return isCut || problems.some((problem) => problem !== undefined && String(problem).startsWith('The stream ended'))
    ? 'cut'
    : 'complete';
}

function join(problems: readonly (string | undefined)[]): string | undefined {
  const told = problems.filter((problem) => problem !== undefined);
  return told.length === 0 ? undefined : told.join(' ');
}

function isExceptionFrame(frame: Buffer): boolean {
  try {
    const headers = parseFrameHeaders(frame.subarray(PRELUDE_BYTES, PRELUDE_BYTES + frame.readUInt32BE(4)));
    const type = headers.get(':message-type');
    return headers.has(':exception-type') || (type?.kind === 'string' && /^(?:exception|error)$/.test(type.value));
  } catch {
    return false;
  }
}

/** Anthropic names the event `error`; OpenAI sends an object that has nothing else. */
function isErrorEvent(frame: Buffer): boolean {
  return /^(?:event: ?error[\r\n]|data: ?\{\s*"error"\s*:\s*\{)/m.test(frame.toString('latin1', 0, 256));
}
