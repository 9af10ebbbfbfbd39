/**
 * The signatures of an event stream on its way to AWS: takes the client's frames out of their envelopes, and signs each
 * anew in the proxy's own chain. Pure: bytes in, bytes out, at any split. Never merges, splits or changes what lies in
 * the envelopes.
 *
 * Every outer frame has `:date` and `:chunk-signature` for headers and one complete inner frame for payload; one with
 * an empty payload ends the stream. Its signature covers the one before it; the first covers that of the request.
 * Source: the SigV4 of event streams as in the AWS SDKs (`signEvent` of @smithy/signature-v4).
 */
import type { KeyObject } from 'node:crypto';
import type { WallClock } from '../../lib/clock.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { Body } from '../../http/body.ts';
import { findHeader, type HeaderPair } from '../../http/message.ts';
import {
  encodeBytesHeader,
  encodeFrame,
  encodeTimestampHeader,
  type Frame,
  FrameSplitter,
  parseFrameHeaders,
} from '../event-stream.ts';
import {
  type CredentialScope,
  deriveSigningKey,
  formatTimestamp,
  SCOPE_TERMINATOR,
  signFrame,
  STREAMING_EVENTS_PAYLOAD,
} from './key.ts';

const EMPTY = Buffer.alloc(0);

/**
 * In the place of a body that is not read before it is signed: no bytes, and the literal that stands for their hash.
 */
export const EVENT_STREAM_BODY: Body = { chunks: [], sizeBytes: 0, sha256: STREAMING_EVENTS_PAYLOAD };

/** What a chain starts from. */
export interface FrameChainOptions {
  /** Of the credentials that signed the request; they stay for the whole stream, whatever is refreshed meanwhile. */
  readonly credentials: { readonly secretAccessKey: string };
  readonly region: string;
  readonly signingName: string;
  /** Hex signature of the request. */
  readonly seedSignature: string;
}

/** Signs one frame after the other. State: the signature before, and the signing key of the day. */
export class FrameChain {
  readonly #secretAccessKey: string;
  #scope: CredentialScope;
  #priorSignature: string;
  #signingKey: KeyObject | undefined;

  constructor({ credentials, region, signingName, seedSignature }: FrameChainOptions) {
    this.#secretAccessKey = credentials.secretAccessKey;
    this.#scope = { date: '', region, service: signingName, terminator: SCOPE_TERMINATOR };
    this.#priorSignature = seedSignature;
  }

  /** The outer frame around `inner`: one complete frame, or nothing, which ends the stream. */
  sign(inner: Uint8Array, dateMs: number): Buffer {
    const signingKey = this.#useKeyOf(formatTimestamp(dateMs).slice(0, 8));
    this.#priorSignature = signFrame({
      signingKey,
      scope: this.#scope,
      priorSignature: this.#priorSignature,
      dateMs,
      payload: inner,
    });
    const signature = encodeBytesHeader(':chunk-signature', Buffer.from(this.#priorSignature, 'hex'));
    return encodeFrame(Buffer.concat([encodeTimestampHeader(':date', dateMs), signature]), inner);
  }

  /**
   * A stream that runs over midnight (UTC) goes on with the scope and the key of the frame's day, as the SDKs do it.
   */
  #useKeyOf(day: string): KeyObject {
    if (this.#signingKey !== undefined && this.#scope.date === day) return this.#signingKey;
    this.#scope = { ...this.#scope, date: day };
    this.#signingKey = deriveSigningKey(this.#secretAccessKey, this.#scope);
    return this.#signingKey;
  }
}

/** What `FrameResigner` needs. */
export interface FrameResignerOptions {
  readonly chain: FrameChain;
  /** Epoch milliseconds, for `:date`. */
  readonly nowMs: WallClock;
  /** Sees each frame as the client sent it before it is signed; what it throws ends the stream. */
  readonly checkFrame: ((frame: Frame) => void) | undefined;
}

/**
 * Largest payload of a frame that a client sends. AWS takes parts of at most 1,000,000 bytes (API reference,
 * BidirectionalInputPayloadPart), which stand in base64 in JSON, within a frame of their own if the client signs.
 */
const MAX_CLIENT_PAYLOAD_BYTES = 1_500_000;

/**
 * The client's byte stream, re-signed. A client that signs sends outer frames, known by `:chunk-signature`; one that
 * does not (it has shown a bearer key) sends inner frames, which are wrapped. The first frame decides which of the two
 * it is.
 */
export class FrameResigner {
  readonly #options: FrameResignerOptions;
  readonly #splitter = new FrameSplitter(MAX_CLIENT_PAYLOAD_BYTES);
  #clientSigns: boolean | undefined;
  #ended = false;

  constructor(options: FrameResignerOptions) {
    this.#options = options;
  }

  /** Memory that a frame of the client holds that is not complete yet. */
  get heldBytes(): number {
    return this.#splitter.heldBytes;
  }

  /** True once the frame that ends the stream was given out: nothing may follow it. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * The outer frames to send for `chunk`, in order; run it to its end. Throws ERR_BAD_REQUEST, and what `checkFrame`
   * does.
   */
  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    for (const frame of this.#splitter.push(chunk)) {
      this.#options.checkFrame?.(frame);
      const inner = this.#unwrap(frame);
      if (this.#ended) throw badStream('goes on after the frame that ends it');
      this.#ended = inner.length === 0;
      yield this.#sign(inner);
    }
  }

  /**
   * The client has ended its stream in order: what is still to be sent, if anything. Throws ERR_BAD_REQUEST if the
   * stream is not complete: it ended within a frame, or without the signed empty frame that a client that signs must
   * send.
   */
  finish(): Buffer | undefined {
    this.#splitter.finish();
    if (this.#ended) return undefined;
    if (this.#clientSigns === true) throw badStream('ended without the empty frame that must end it');
    this.#ended = true;
    return this.#sign(EMPTY);
  }

  #unwrap(frame: Frame): Buffer {
    const isOuter = parseFrameHeaders(frame.headers).has(':chunk-signature');
    this.#clientSigns ??= isOuter;
    if (isOuter !== this.#clientSigns) throw badStream('mixes frames that are signed with frames that are not');
    if (isOuter) return frame.payload;
    // Neither headers nor payload: nothing that could be an event, so it is the end.
    return frame.headers.length === 0 && frame.payload.length === 0 ? EMPTY : frame.bytes;
  }

  #sign(inner: Buffer): Buffer {
    return this.#options.chain.sign(inner, this.#options.nowMs());
  }
}

/** The hex signature in the `authorization` of a signed request: the seed of its chain. */
export function findSeedSignature(signedHeaders: readonly HeaderPair[]): string {
  const signature = /Signature=([0-9a-f]{64})$/.exec(findHeader(signedHeaders, 'authorization') ?? '')?.[1];
  if (signature === undefined) throw new ProxyError('ERR_INTERNAL', 'The request that opens the stream is not signed.');
  return signature;
}

function badStream(what: string): ProxyError {
  return new ProxyError('ERR_BAD_REQUEST', `The event stream ${what}.`);
}
