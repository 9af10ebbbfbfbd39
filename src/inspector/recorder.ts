/**
 * Keeps exchanges as they pass: copies of their bytes, the times of their arrival, heads without credentials. It is
 * never in the way: it waits for nothing, and where there is no room it lets go of content and says so.
 */
import { MACHINE_TICKS, type MonotonicClock } from '../lib/clock.ts';
import { describeRecord } from '../domain/ledger-row.ts';
import type { Principal } from '../domain/principal.ts';
import type { FailedAttempt, RequestRecord } from '../domain/request-record.ts';
import type { Body } from '../http/body.ts';
import type { Spool } from '../http/spool.ts';
import { type ClientRequest, findHeader, type HeaderPair } from '../http/message.ts';
import type { SentHead, Way } from '../upstream/upstream.ts';
import type {
  Exchange,
  ExchangeEnd,
  ExchangeTimes,
  KeptBody,
  KeptMessage,
  KeptSigning,
  Layer,
  Omission,
} from './exchange.ts';
import { carriesCredentials } from '../operations/find-facts.ts';
import { CaptureRate, MAX_CAPTURED_PER_SECOND } from './capture-rate.ts';
import { ConversationIndex, type LinkedRequest } from './conversation.ts';
import { KEPT_HEAD_BYTES, KEPT_TAIL_BYTES, KeptBytes } from './kept-bytes.ts';
import { maskHeaders, maskTarget } from './masks.ts';
import { PiecedKeptBody, PieceStore } from './pieces.ts';
import { readJsonTree } from '../protocol/json-tree.ts';
import type { ExchangeRing, RingExchange } from './ring.ts';
import { describeSigning } from './signing.ts';
import type { ExchangeListener, ExchangeWatcher } from './watcher.ts';

/** Larger bodies are kept as they came: to look into them would hold up others. */
const MAX_LINKED_BYTES = 4 * 1024 * 1024;
/** As deep as messages lie, and no deeper. */
const LINK_DEPTH = 3;
const OPEN_BRACE = 0x7b;
const SPOOL_PIECE_BYTES = 1024 * 1024;
/** Smaller requests have little in common that is worth keeping once. */
const SMALL_BYTES = 4 * 1024;
const MIN_WAITING = 2_000;
/** So many wait to be told at most: then each that ends waits for the one before. Memory must not let go of them. */
const MAX_UNTOLD = 32;
/** Then requests have their turn. */
const SLICE_MS = 5;
/** What a header takes besides its characters. */
const HEADER_BYTES = 48;

/** By which a client asks that its content is not kept; it goes nowhere else. */
const OPT_OUT_HEADER = 'x-bedrock-proxy-inspect';

/** How a recorder begins, and what it takes at most. */
export interface RecorderOptions {
  readonly lastSequence?: number | undefined;
  readonly maxPerSecond?: number | undefined;
  /** Each exchange is linked when it has ended, and told as ended only then: a file keeps it as it is told. */
  readonly isBesideFile?: boolean | undefined;
}

/** Keeps what passes in a ring. */
export class ExchangeRecorder implements ExchangeWatcher {
  readonly #ring: ExchangeRing;
  readonly #tickMs: MonotonicClock;
  /** By id: those whose ledger row is not written yet. */
  readonly #open = new Map<string, Capture>();
  readonly #links: Links;
  readonly #rate: CaptureRate;
  #sequence: number;
  /** Whether content is kept; rows are in any case. */
  isCapturing = true;

  /** `lastSequence`: of those that are kept elsewhere since before. */
  constructor(
    ring: ExchangeRing,
    tickMs: MonotonicClock,
    { lastSequence = 0, maxPerSecond = MAX_CAPTURED_PER_SECOND, isBesideFile = false }: RecorderOptions = {},
  ) {
    this.#ring = ring;
    this.#tickMs = tickMs;
    this.#sequence = lastSequence;
    this.#rate = new CaptureRate(maxPerSecond, tickMs);
    this.#links = new Links(ring, isBesideFile);
  }

  open(record: RequestRecord, clientRequest: ClientRequest): Capture | undefined {
    // Who replays one wants to see it.
    if (!this.#rate.take() && clientRequest.replay === undefined) {
      this.#ring.countDropped('rate');
      return undefined;
    }
    const omitted = this.isCapturing ? findOptOut(clientRequest.headers) : 'off';
    const parts = { ring: this.#ring, tickMs: this.#tickMs, omitted, links: this.#links };
    const capture = new Capture(record, clientRequest, { ...parts, sequence: (this.#sequence += 1) });
    this.#open.set(record.id, capture);
    this.#ring.add(capture);
    clientRequest.replay?.onRecord(record.id);
    return capture;
  }

  /** To be called with the event of the same name. */
  readonly ended = (record: RequestRecord): void => {
    const capture = this.#open.get(record.id);
    if (capture === undefined) return;
    this.#open.delete(record.id);
    capture.settle();
    this.#links.add(capture);
  };

  /** What has ended is linked, and told: nothing comes any more. */
  finish(): void {
    this.#links.flush();
  }
}

function findOptOut(headers: readonly HeaderPair[]): Omission | undefined {
  return findHeader(headers, OPT_OUT_HEADER)?.trim().toLowerCase() === 'off' ? 'opt-out' : undefined;
}

/**
 * What exchanges have together. Small requests are looked into when somebody looks at them, large ones at once, and
 * what came before them: there is memory to be saved. State: those that were not looked into yet.
 */
class Links {
  readonly conversations = new ConversationIndex();
  readonly pieces: PieceStore;
  readonly #ring: ExchangeRing;
  readonly #isBesideFile: boolean;
  #waiting: Capture[] = [];
  #isDue = false;
  /** So many may wait until it is seen which of them are gone. */
  #most = MIN_WAITING;

  constructor(ring: ExchangeRing, isBesideFile: boolean) {
    this.#ring = ring;
    this.#isBesideFile = isBesideFile;
    this.pieces = new PieceStore(ring);
  }

  add(capture: Capture): void {
    this.#waiting.push(capture);
    if (!this.#isBesideFile) this.#ring.touch(capture.id);
    else if (this.#waiting.length > MAX_UNTOLD) this.#link(this.#waiting.shift() ?? capture);
    if (this.#waiting.length >= this.#most) this.#forget();
    if (this.#isDue || (capture.requestBytes < SMALL_BYTES && !this.#isBesideFile)) return;
    this.#isDue = true;
    // Nobody waits for that.
    setImmediate(() => this.#work());
  }

  /** As many as are done in a moment, then the others. */
  #work(): void {
    const started = MACHINE_TICKS();
    for (const [at, capture] of this.#waiting.entries()) {
      if (MACHINE_TICKS() - started < SLICE_MS) {
        this.#link(capture);
        continue;
      }
      this.#waiting.splice(0, at);
      setImmediate(() => this.#work());
      return;
    }
    this.#waiting = [];
    this.#isDue = false;
  }

  /** Those that are gone. */
  #forget(): void {
    this.#waiting = this.#waiting.filter(({ id }) => this.#ring.find(id) !== undefined);
    this.#most = Math.max(MIN_WAITING, 2 * this.#waiting.length);
  }

  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const capture of waiting) this.#link(capture);
  }

  #link(capture: Capture): void {
    if (this.#ring.find(capture.id) === undefined) return;
    const hasChanged = capture.link();
    if (hasChanged || this.#isBesideFile) this.#ring.touch(capture.id);
  }
}

interface CaptureParts {
  readonly links: Links;
  readonly ring: ExchangeRing;
  readonly tickMs: MonotonicClock;
  readonly omitted: Omission | undefined;
  readonly sequence: number;
}

/** The moments of an exchange, by their places in a list of numbers: one object, where each would be one of its own. */
const MOMENTS = {
  authenticatedMs: 0,
  bodyReadMs: 1,
  admittedMs: 2,
  signedMs: 3,
  sentMs: 4,
  headMs: 5,
  firstByteMs: 6,
  lastByteMs: 7,
  endedMs: 8,
} as const satisfies Record<keyof ExchangeTimes, number>;
type Moment = keyof typeof MOMENTS;
const MOMENT_NAMES = Object.keys(MOMENTS) as readonly Moment[];

type Head = Omit<KeptMessage, 'body'>;
/** As it is kept: names and values as one text, in turns, because of thousands of small ones the collector has work. */
type CompactHead = Omit<Head, 'headers'> & { readonly text: string };

/** One exchange. State: what has passed of it so far. */
class Capture implements ExchangeListener, RingExchange {
  readonly id: string;
  readonly sequence: number;
  readonly parent: string | undefined;
  readonly isEdited: boolean;
  #conversation: Exchange['conversation'];
  #isLinked = false;
  attempt: Exchange['attempt'];
  /** NaN: it did not come so far. */
  readonly #moments = new Float64Array(MOMENT_NAMES.length).fill(Number.NaN);
  omitted: Omission | undefined;
  isPinned = false;
  note: string | undefined;
  failedAttempts: readonly string[] = [];
  readonly #ring: ExchangeRing;
  readonly #links: Links;
  readonly #tickMs: MonotonicClock;
  readonly #startedAt: number;
  #caller = '';
  #sameAs = '';
  #record: RequestRecord | undefined;
  #row: Exchange['row'] | undefined;
  readonly #heads: { [Name in Layer]?: CompactHead } = {};
  readonly #bodies: {
    clientRequest?: KeptBytes | PiecedKeptBody;
    upstreamResponse?: KeptBytes;
    clientResponse?: KeptBytes;
  } = {};
  #clientStream: KeptBytes | undefined;
  /** Taken of the ring for heads. */
  #headBytes = 0;
  #isDropped = false;
  readonly #hasSecretTarget: boolean;

  constructor(
    record: RequestRecord,
    { method, target, headers, authority, httpVersion, replay }: ClientRequest,
    { ring, links, tickMs, omitted, sequence }: CaptureParts,
  ) {
    this.id = record.id;
    this.sequence = sequence;
    this.omitted = omitted;
    this.parent = replay?.parent;
    this.isEdited = replay?.isEdited === true;
    this.#ring = ring;
    this.#links = links;
    this.#tickMs = tickMs;
    this.#startedAt = tickMs();
    this.#record = record;
    const shownTarget = maskTarget(target.raw);
    this.#hasSecretTarget = shownTarget !== target.raw;
    const head = { method, authority, target: shownTarget, httpVersion, headers: maskHeaders(headers) };
    this.#keepHead('clientRequest', head);
  }

  get row(): Exchange['row'] {
    if (this.#row !== undefined) return this.#row;
    const record = this.#record;
    if (record === undefined) throw new Error('An exchange has a record or a row.');
    const row = { ...describeRecord(record), isStreamed: record.isStreamed };
    if (this.#end !== 'open') this.#keepRow(row);
    return row;
  }

  get times(): ExchangeTimes {
    const times: { -readonly [Name in Moment]?: number } = {};
    for (const name of MOMENT_NAMES) {
      const atMs = this.#moments[MOMENTS[name]];
      if (atMs !== undefined && !Number.isNaN(atMs)) times[name] = atMs;
    }
    return times;
  }

  get end(): ExchangeEnd {
    return this.#end;
  }

  #end: ExchangeEnd = 'open';

  get layers(): Exchange['layers'] {
    const { clientRequest, signedRequest, upstreamResponse, clientResponse } = this.#heads;
    const { clientRequest: requestBody, upstreamResponse: responseBody, clientResponse: ownBody } = this.#bodies;
    return {
      ...(clientRequest === undefined ? {} : { clientRequest: { ...expandHead(clientRequest), body: requestBody } }),
      ...(signedRequest === undefined ? {} : { signedRequest: { ...expandHead(signedRequest), body: undefined } }),
      ...(upstreamResponse === undefined
        ? {}
        : { upstreamResponse: { ...expandHead(upstreamResponse), body: responseBody } }),
      ...(clientResponse === undefined ? {} : { clientResponse: { ...expandHead(clientResponse), body: ownBody } }),
    };
  }

  /** Made when somebody looks. */
  get signing(): KeptSigning | undefined {
    const { signedRequest: sent } = this.#heads;
    if (sent?.method === undefined || sent.target === undefined) return undefined;
    return describeSigning({ method: sent.method, target: sent.target, headers: expandHead(sent).headers });
  }

  get conversation(): Exchange['conversation'] {
    if (!this.#isLinked && this.#end !== 'open') this.#links.flush();
    return this.#conversation;
  }

  get heldBytes(): number {
    return this.#kept().reduce((sum, { takenBytes }) => sum + takenBytes, this.#headBytes);
  }

  get requestBytes(): number {
    return this.#bodies.clientRequest?.sizeBytes ?? 0;
  }

  get clientStream(): KeptBody | undefined {
    return this.#clientStream;
  }

  onCaller(principal: Principal | undefined): void {
    this.#caller = principal?.kind === 'key' ? principal.keyId : (principal?.kind ?? '');
    if (principal?.kind === 'key' && principal.isUninspected === true) this.omitted ??= 'opt-out';
    this.#note('authenticatedMs');
  }

  onBody({ chunks, sizeBytes, sha256, spool }: Body): void {
    const atMs = this.#note('bodyReadMs');
    this.#sameAs = `${this.#heads.clientRequest?.target ?? ''} ${sha256}`;
    this.attempt = this.#links.conversations.findAttempt(this.#linked(), this.#sameAs, this.#startedAt);
    this.#omitSecrets();
    if (this.omitted !== undefined) return;
    const kept = (this.#bodies.clientRequest = new KeptBytes(this.#ring));
    kept.know(sha256);
    if (spool === undefined) for (const chunk of chunks) kept.add(chunk, atMs);
    else void keepSpooled(kept, spool, sizeBytes, atMs);
  }

  onAdmitted(): void {
    this.#note('admittedMs');
  }

  onSending(): void {
    this.#omitSecrets();
  }

  onAttempt(_way: Way, failed: FailedAttempt | undefined): void {
    if (failed !== undefined) this.failedAttempts = [...this.failedAttempts, `${failed.upstream}: ${failed.code}`];
    this.#forgetResponse();
  }

  onSigned(sent?: SentHead): void {
    this.#note('signedMs');
    if (sent !== undefined) this.#keepSent(sent);
  }

  onSent(): void {
    this.#note('sentMs');
  }

  onHead(status: number, headers: readonly HeaderPair[]): void {
    this.#note('headMs');
    this.#keepHead('upstreamResponse', { status, headers: maskHeaders(headers) });
    if (this.omitted === undefined) this.#bodies.upstreamResponse = new KeptBytes(this.#ring);
    this.#ring.touch(this.id);
  }

  onBytes(chunk: Buffer): void {
    const atMs = this.#note('lastByteMs');
    if (Number.isNaN(this.#moments[MOMENTS.firstByteMs])) this.#moments[MOMENTS.firstByteMs] = atMs;
    this.#bodies.upstreamResponse?.add(chunk, atMs);
  }

  onClientBytes(chunk: Buffer): void {
    if (this.omitted !== undefined) return;
    this.#clientStream ??= new KeptBytes(this.#ring);
    this.#clientStream.add(chunk, this.#elapsed());
  }

  onClientHead(status: number, headers: readonly HeaderPair[]): ((chunk: Uint8Array | string) => void) | undefined {
    this.#keepHead('clientResponse', { status, headers: maskHeaders(headers) });
    if (!this.#mayDiffer() || this.omitted !== undefined) return undefined;
    const kept = (this.#bodies.clientResponse = new KeptBytes(this.#ring));
    return (chunk) => {
      if (this.omitted === undefined) kept.add(typeof chunk === 'string' ? Buffer.from(chunk) : chunk, this.#elapsed());
    };
  }

  onOver(): void {
    this.#note('endedMs');
  }

  /** Its ledger row is written: nothing changes any more. */
  settle(): void {
    const record = this.#record;
    if (record === undefined) return;
    this.#end = findEnd(record);
    this.#forgetSame();
    const hasFailed = this.#end === 'cut' || (record.status ?? 0) >= 400;
    if (hasFailed) this.#links.conversations.noteFailure(this.#linked(), this.#sameAs, this.#tickMs());
    // The record, which is there already, says as much, and few rows are ever looked at; but it masks nothing.
    if (record.error !== undefined || record.upstreamErrorMessage !== undefined || this.#hasSecretTarget) {
      this.#keepRow(this.row);
    }
    for (const { hole } of this.#kept()) if (hole?.why === 'memory') this.#ring.countDropped('memory');
  }

  /** Finds the turn that it is, and keeps what it has in common with others once. Whether that shows. */
  link(): boolean {
    if (this.#isLinked) return false;
    this.#isLinked = true;
    const kept = this.#bodies.clientRequest;
    if (!(kept instanceof KeptBytes) || kept.hole !== undefined || kept.sizeBytes > MAX_LINKED_BYTES) return false;
    const bytes = kept.read();
    if (bytes[0] !== OPEN_BRACE) return false;
    const tree = readJsonTree(bytes, LINK_DEPTH);
    if (tree === undefined) return false;
    this.#conversation = this.#links.conversations.findTurn(this.#linked(), bytes, tree.root);
    const pieced = this.#links.pieces.cut(bytes, tree.root);
    const isKept = this.#ring.find(this.id) !== undefined;
    if (pieced !== undefined && !isKept) pieced.drop();
    else if (pieced !== undefined) {
      this.#bodies.clientRequest = new PiecedKeptBody(pieced, kept);
      kept.drop('evicted');
    }
    return this.#conversation?.previous !== undefined;
  }

  drop(why: Omission): void {
    for (const kept of this.#kept()) kept.drop(why);
    this.#ring.give(this.#headBytes);
    this.#headBytes = 0;
    this.#isDropped = true;
    this.omitted = why;
  }

  pin(isPinned: boolean): void {
    this.isPinned = isPinned;
  }

  annotate(note: string): void {
    this.note = note;
  }

  /** Of what hands out credentials, or takes them in, request and response are credentials themselves. */
  #omitSecrets(): void {
    const route = this.#record?.route;
    if (route !== undefined && carriesCredentials(route)) this.omitted ??= 'opt-out';
  }

  /** Without its headers if there is no room for them. */
  #keepHead(layer: Layer, head: Head): void {
    const sizeBytes = sizeOfHead(head);
    const hasRoom = !this.#isDropped && this.#ring.take(sizeBytes);
    if (hasRoom) this.#headBytes += sizeBytes;
    this.#heads[layer] = compactHead(hasRoom ? head : { ...head, headers: [] });
  }

  /** All bodies of which something is kept. */
  #kept(): readonly (KeptBytes | PiecedKeptBody)[] {
    const bodies = Object.values(this.#bodies);
    return this.#clientStream === undefined ? bodies : [...bodies, this.#clientStream];
  }

  #keepSent({ method, origin, target, headers }: SentHead): void {
    const authority = origin.replace(/^[a-z]+:\/\//, '');
    this.#keepHead('signedRequest', { method, authority, target: maskTarget(target), headers: maskHeaders(headers) });
  }

  /** An earlier attempt's response, of which the client has seen nothing. */
  #forgetResponse(): void {
    this.#bodies.upstreamResponse?.drop('off');
    delete this.#bodies.upstreamResponse;
    delete this.#heads.upstreamResponse;
    this.#moments.fill(Number.NaN, MOMENTS.headMs, MOMENTS.lastByteMs + 1);
  }

  /** What the client gets may be another body: an error of the proxy, one with a fault, or a list made shorter. */
  #mayDiffer(): boolean {
    const { route, fault } = this.#record ?? {};
    return this.#heads.upstreamResponse === undefined || route?.service === 'bedrock' || fault !== undefined;
  }

  /** The client got what the upstream sent: that is kept once. */
  #forgetSame(): void {
    const { upstreamResponse: sent, clientResponse: got } = this.#bodies;
    if (sent === undefined || got === undefined || sent.sizeBytes !== got.sizeBytes) return;
    if (got.sha256 === undefined || sent.sha256 !== got.sha256) return;
    got.drop('off');
    delete this.#bodies.clientResponse;
  }

  #linked(): LinkedRequest {
    return { id: this.id, caller: this.#caller };
  }

  #keepRow(row: Exchange['row']): void {
    this.#row = row;
    this.#record = undefined;
  }

  #note(moment: Moment): number {
    return (this.#moments[MOMENTS[moment]] = this.#elapsed());
  }

  #elapsed(): number {
    return this.#tickMs() - this.#startedAt;
  }
}

/** Between names and values: none of them can have it. */
const BETWEEN = '\n';

function compactHead({ headers, ...head }: Head): CompactHead {
  const parts: string[] = [];
  for (const [name, value] of headers) parts.push(name, value);
  return { ...head, text: parts.join(BETWEEN) };
}

function expandHead({ text, ...head }: CompactHead): Head {
  const parts = text === '' ? [] : text.split(BETWEEN);
  const headers: HeaderPair[] = [];
  for (let at = 0; at < parts.length; at += 2) headers.push([parts[at] ?? '', parts[at + 1] ?? '']);
  return { ...head, headers };
}

function sizeOfHead({ target = '', headers }: Head): number {
  return headers.reduce((sum, [name, value]) => sum + name.length + value.length + HEADER_BYTES, target.length);
}

/** Beginning and end of a body that waits in a file; as much of it as is read before it has left. */
async function keepSpooled(kept: KeptBytes, spool: Spool, sizeBytes: number, atMs: number): Promise<void> {
  try {
    while (kept.sizeBytes < Math.min(KEPT_HEAD_BYTES, sizeBytes)) {
      const at = kept.sizeBytes;
      const piece = await spool.readPart(at, Math.min(SPOOL_PIECE_BYTES, KEPT_HEAD_BYTES - at));
      if (piece.length === 0) break;
      kept.add(piece, atMs);
    }
    const tailAt = Math.max(kept.sizeBytes, sizeBytes - KEPT_TAIL_BYTES);
    const tail = await spool.readPart(tailAt, sizeBytes - tailAt);
    if (tailAt > kept.sizeBytes) kept.skip(tailAt - kept.sizeBytes);
    kept.add(tail, atMs);
  } catch {
    // It has left, and the file is gone.
  }
  if (kept.sizeBytes < sizeBytes) kept.skip(sizeBytes - kept.sizeBytes);
}

function findEnd({ error, upstreamStatus, hasEnded }: RequestRecord): ExchangeEnd {
  if (error?.code === 'ERR_CLIENT_GONE') return 'client-gone';
  if (upstreamStatus === undefined && error !== undefined) return 'refused';
  return hasEnded || error === undefined ? 'complete' : 'cut';
}
