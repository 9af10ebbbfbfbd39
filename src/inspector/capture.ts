/** One exchange as it passes: copies of its bytes, the times of their arrival, heads without credentials. */
import type { MonotonicClock } from '../lib/clock.ts';
import { describeRecord } from '../domain/ledger-row.ts';
import type { Principal } from '../domain/principal.ts';
import type { FailedAttempt, RequestRecord } from '../domain/request-record.ts';
import type { Body } from '../http/body.ts';
import type { Spool } from '../http/spool.ts';
import type { ClientRequest, HeaderPair } from '../http/message.ts';
import type { SentHead, Way } from '../upstream/upstream.ts';
import type { Exchange, ExchangeEnd, ExchangeTimes, KeptBody, KeptSigning, Layer, Omission } from './exchange.ts';
import { carriesCredentials } from '../operations/find-facts.ts';
import type { LinkedRequest } from './conversation.ts';
import { KEPT_HEAD_BYTES, KEPT_TAIL_BYTES, KeptBytes } from './kept-bytes.ts';
import { maskHeaders, maskTarget } from './masks.ts';
import { PiecedKeptBody } from './pieces.ts';
import { readJsonTree } from '../protocol/json-tree.ts';
import type { ExchangeRing, RingExchange } from './ring.ts';
import { describeSigning } from './signing.ts';
import type { ExchangeListener } from './watcher.ts';
import { compactHead, expandHead, sizeOfHead, type CompactHead, type BareMessage } from './compact-head.ts';
import type { ExchangeLinks } from './links.ts';

/** Larger bodies are kept as they came: to look into them would hold up others. */
const MAX_LINKED_BYTES = 4 * 1024 * 1024;
/** As deep as messages lie, and no deeper. */
const LINK_DEPTH = 3;
const OPEN_BRACE = 0x7b;
const SPOOL_PIECE_BYTES = 1024 * 1024;

/** What a capture works with. */
export interface CaptureParts {
  readonly links: ExchangeLinks;
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

/** One exchange. State: what has passed of it so far. */
export class ExchangeCapture implements ExchangeListener, RingExchange {
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
  readonly #links: ExchangeLinks;
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
  #keepHead(layer: Layer, head: BareMessage): void {
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
