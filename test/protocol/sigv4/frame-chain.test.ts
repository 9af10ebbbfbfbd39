import { Sha256 } from '@aws-crypto/sha256-js';
import { EventStreamCodec } from '@smithy/eventstream-codec';
import { SignatureV4 } from '@smithy/signature-v4';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encodeFrame, type Frame, FrameSplitter, parseFrameHeaders } from '../../../src/protocol/event-stream.ts';
import { FrameChain, FrameResigner, findSeedSignature } from '../../../src/protocol/sigv4/frame-chain.ts';
import { eventFrame } from '../../helpers/event-frames.ts';

/** What the AWS SDK for JavaScript sent to a server of ours: bytes, and the facts that go with them. */
const RECORDED = readFileSync(new URL('../../fixtures/bidirectional-sdk.bin', import.meta.url));
const FACTS = JSON.parse(
  readFileSync(new URL('../../fixtures/bidirectional-sdk.json', import.meta.url), 'utf8'),
) as RecordedFacts;

interface RecordedFacts {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  readonly signingName: string;
  readonly events: readonly string[];
  readonly rawHeaders: readonly string[];
}

const EMPTY = Buffer.alloc(0);
const SEED = 'ab'.repeat(32);
const AT_MS = Date.UTC(2026, 2, 14, 15, 9, 26, 535);
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const INNER = [eventFrame('chunk', { bytes: 'aGVsbG8=' }), eventFrame('chunk', { bytes: 'd29ybGQ=' })] as const;

describe('the chain', () => {
  it('signs frames to the very bytes that the AWS SDK sent, from the same key, times and events', () => {
    const { secretAccessKey, region, signingName } = FACTS;
    const authorization = FACTS.rawHeaders[FACTS.rawHeaders.indexOf('authorization') + 1] ?? '';
    const seedSignature = findSeedSignature([['authorization', authorization]]);
    const chain = new FrameChain({ credentials: { secretAccessKey }, region, signingName, seedSignature });
    const recorded = split(RECORDED);
    const made = recorded.map(({ payload, headers }) => chain.sign(payload, dateOf(headers)));
    expect(Buffer.concat(made)).toEqual(RECORDED);
    expect(recorded.at(-1)?.payload).toHaveLength(0);
    const events = recorded.slice(0, -1).map(({ payload }) => innerText(payload));
    expect(events).toEqual(FACTS.events);
  });

  it("signs frames as the AWS SDK's signer does, over midnight too", async () => {
    const lastSecondMs = Date.UTC(2026, 11, 31, 23, 59, 59, 999);
    const chain = openChain();
    const codec = new EventStreamCodec(
      (bytes) => Buffer.from(bytes).toString(),
      (text) => Buffer.from(text),
    );
    const signer = new SignatureV4({
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: SECRET },
      region: 'eu-west-1',
      service: 'bedrock',
      sha256: Sha256,
    });
    let priorSignature = SEED;
    for (const dateMs of [lastSecondMs - 1, lastSecondMs, lastSecondMs + 1, lastSecondMs + 60_000]) {
      const headers = { ':date': { type: 'timestamp', value: new Date(dateMs) } } as const;
      const message = { headers, body: INNER[0] };
      const { signature } = await signer.sign({ message, priorSignature }, { signingDate: new Date(dateMs) });
      const chunkSignature = { type: 'binary', value: Buffer.from(signature, 'hex') } as const;
      const expected = codec.encode({ headers: { ...headers, ':chunk-signature': chunkSignature }, body: INNER[0] });
      expect(chain.sign(INNER[0], dateMs)).toEqual(Buffer.from(expected));
      priorSignature = signature;
    }
  });

  it.each([
    { name: 'no authorization', headers: [] },
    { name: 'a bearer token', headers: [['authorization', 'Bearer abc']] as const },
  ])('finds no seed signature in a request with $name', ({ headers }) => {
    expect(() => findSeedSignature(headers)).toThrow(/not signed/);
  });
});

describe('re-signing', () => {
  it('signs the inner frames of a client that signs anew, at every split', () => {
    const expected = split(RECORDED).map(({ payload }) => payload);
    const whole = resign([RECORDED]).sent;
    expect(payloadsOf(whole)).toEqual(expected);
    for (let at = 1; at < RECORDED.length; at += 1) {
      const { sent, ended } = resign([RECORDED.subarray(0, at), RECORDED.subarray(at)]);
      expect(Buffer.concat(sent)).toEqual(Buffer.concat(whole));
      expect(ended).toBe(true);
    }
    expect(Buffer.concat(resign(Array.from(RECORDED, (byte) => Buffer.of(byte))).sent)).toEqual(Buffer.concat(whole));
  });

  it('puts each frame of a client that does not sign into a signed envelope and ends the stream, at every split', () => {
    const stream = Buffer.concat(INNER);
    for (let at = 0; at < stream.length; at += 1) {
      const { sent } = resign([stream.subarray(0, at), stream.subarray(at)]);
      expect(payloadsOf(sent)).toEqual([...INNER, EMPTY]);
    }
  });

  it.each([
    { name: 'a stream without frames', client: [], payloads: [EMPTY] },
    { name: 'an unsigned empty frame', client: [INNER[0], encodeFrame(EMPTY, EMPTY)], payloads: [INNER[0], EMPTY] },
    { name: 'a signed empty frame', client: signed(INNER[0], EMPTY), payloads: [INNER[0], EMPTY] },
    {
      name: 'an event without payload, which is no end',
      client: [eventFrame('chunk', EMPTY), INNER[0]],
      payloads: [eventFrame('chunk', EMPTY), INNER[0], EMPTY],
    },
  ])('ends a signed stream with one empty frame: $name', ({ client, payloads }) => {
    const { sent } = resign(client);
    expect(payloadsOf(sent)).toEqual(payloads);
    for (const frame of sent) {
      const headers = parseFrameHeaders(split(frame)[0]?.headers ?? EMPTY);
      expect([...headers.keys()]).toEqual([':date', ':chunk-signature']);
      expect(headers.get(':date')).toEqual({ kind: 'timestamp', value: AT_MS });
    }
  });

  it.each([
    { name: 'signed after unsigned', client: [INNER[0], ...signed(INNER[1])], says: /mixes/ },
    { name: 'unsigned after signed', client: [...signed(INNER[0]), INNER[1]], says: /mixes/ },
    { name: 'a frame after the end', client: signed(INNER[0], EMPTY, INNER[1]), says: /goes on/ },
    { name: 'a second end', client: signed(EMPTY, EMPTY), says: /goes on/ },
    { name: 'a signed stream without its end', client: signed(INNER[0]), says: /without the empty frame/ },
    { name: 'an end within a frame', client: [INNER[0].subarray(0, 20)], says: /cut short/ },
    { name: 'a broken frame', client: [Buffer.alloc(16)], says: /prelude checksum/ },
    { name: 'broken headers', client: [encodeFrame(Buffer.of(9), EMPTY)], says: /header that is cut short/ },
  ])('refuses to sign a stream: $name', ({ client, says }) => {
    expect(() => resign(client)).toThrow(says);
    expect(() => resign([Buffer.concat(client)])).toThrow(expect.objectContaining({ code: 'ERR_BAD_REQUEST' }));
  });

  it('shows each frame to the check before it signs it, as the client sent it, the last one too', () => {
    const seen: Buffer[] = [];
    const client = signed(...INNER, EMPTY);
    resign(client, (frame) => seen.push(frame.bytes));
    expect(seen).toEqual(client);
  });

  it('signs no frame that the check refuses', () => {
    let count = 0;
    const sent: Buffer[] = [];
    const check = (): void => {
      count += 1;
      if (count === 2) throw new Error('refused');
    };
    expect(() => resign(signed(...INNER, EMPTY), check, sent)).toThrow('refused');
    expect(payloadsOf(sent)).toEqual([INNER[0]]);
  });
});

function openChain(): FrameChain {
  return new FrameChain({
    credentials: { secretAccessKey: SECRET },
    region: 'eu-west-1',
    signingName: 'bedrock',
    seedSignature: SEED,
  });
}

/** Outer frames as a client with a key of its own sends them. */
function signed(...inner: readonly Buffer[]): Buffer[] {
  const chain = new FrameChain({
    credentials: { secretAccessKey: 'sk-somebody-else' },
    region: 'us-east-1',
    signingName: 'bedrock',
    seedSignature: 'cd'.repeat(32),
  });
  return inner.map((payload) => chain.sign(payload, AT_MS - 5_000));
}

function resign(
  pieces: readonly Buffer[],
  checkFrame?: (frame: Frame) => void,
  sent: Buffer[] = [],
): { sent: Buffer[]; ended: boolean } {
  const frames = new FrameResigner({ chain: openChain(), nowMs: () => AT_MS, checkFrame });
  for (const piece of pieces) {
    for (const frame of frames.push(piece)) sent.push(frame);
  }
  const { ended } = frames;
  const last = frames.finish();
  if (last !== undefined) sent.push(last);
  return { sent, ended };
}

function split(bytes: Buffer): Frame[] {
  return [...new FrameSplitter().push(bytes)];
}

/** The payloads of frames, each of which must be exactly one. */
function payloadsOf(sent: readonly Buffer[]): Buffer[] {
  return sent.map((bytes) => {
    const frames = split(bytes);
    expect(frames).toHaveLength(1);
    return frames[0]?.payload ?? EMPTY;
  });
}

function dateOf(headers: Buffer): number {
  const date = parseFrameHeaders(headers).get(':date');
  return date?.kind === 'timestamp' ? date.value : Number.NaN;
}

function innerText(payload: Buffer): string {
  const [inner] = split(payload);
  const { bytes } = JSON.parse(inner?.payload.toString() ?? '{}') as { bytes: string };
  return Buffer.from(bytes, 'base64').toString();
}
