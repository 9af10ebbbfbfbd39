import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createFrameCheck } from '../../src/auth/frame-check.ts';
import { deriveSigningKey } from '../../src/protocol/sigv4/key.ts';
import { FrameChain } from '../../src/protocol/sigv4/frame-chain.ts';
import { type Frame, FrameSplitter, parseFrameHeaders } from '../../src/protocol/event-stream.ts';

/** A stream recorded from the AWS SDK for JavaScript. */
const RECORDED = JSON.parse(readFileSync(new URL('../fixtures/bidirectional-sdk.json', import.meta.url), 'utf8')) as {
  secretAccessKey: string;
  rawHeaders: string[];
};
const BYTES = readFileSync(new URL('../fixtures/bidirectional-sdk.bin', import.meta.url));
const AUTHORIZATION = RECORDED.rawHeaders[RECORDED.rawHeaders.indexOf('authorization') + 1] ?? '';
const SCOPE = { date: '20261122', region: 'us-east-1', service: 'bedrock', terminator: 'aws4_request' };

function frames(bytes: Buffer): Frame[] {
  return [...new FrameSplitter().push(bytes)];
}

function openCheck(changes: { secret?: string; seed?: string; nowMs?: number } = {}): (frame: Frame) => void {
  const date = parseFrameHeaders(frames(BYTES)[0]?.headers ?? Buffer.alloc(0)).get(':date');
  const recordedAtMs = date?.kind === 'timestamp' ? date.value : 0;
  return createFrameCheck(
    {
      keyOf: (day) => deriveSigningKey(changes.secret ?? RECORDED.secretAccessKey, { ...SCOPE, date: day }),
      scope: SCOPE,
      seedSignature: changes.seed ?? AUTHORIZATION.slice(-64),
    },
    () => changes.nowMs ?? recordedAtMs,
  );
}

it('accepts every frame of a recorded stream, the empty one that ends it included', () => {
  const check = openCheck();
  expect(frames(BYTES).length).toBe(4);
  for (const frame of frames(BYTES)) expect(() => check(frame)).not.toThrow();
});

const REFUSED = expect.objectContaining({ code: 'ERR_SIGNATURE' });

it.each([
  ['another key', { secret: 'sk-another' }],
  ['another request before it', { seed: '0'.repeat(64) }],
  ['another time', { nowMs: Date.parse('2026-11-22T14:00:00Z') }],
])('refuses the first frame under %s', (_, changes) => {
  const [first] = frames(BYTES);
  expect(() => openCheck(changes)(first as Frame)).toThrow(REFUSED);
});

it('refuses a frame if one was left out, repeated, or moved', () => {
  const [first, second, third] = frames(BYTES) as [Frame, Frame, Frame];
  const leftOut = openCheck();
  leftOut(first);
  expect(() => leftOut(third)).toThrow(REFUSED);
  const repeated = openCheck();
  repeated(first);
  expect(() => repeated(first)).toThrow(REFUSED);
  expect(() => openCheck()(second)).toThrow(REFUSED);
});

it('accepts frames over midnight, each under the key of its own day', () => {
  const credentials = { secretAccessKey: 'sk-secret' };
  const chain = new FrameChain({
    credentials,
    region: 'us-east-1',
    signingName: 'bedrock',
    seedSignature: '0'.repeat(64),
  });
  const midnightMs = Date.parse('2027-01-01T00:00:00Z');
  let nowMs = 0;
  const keyOf = (date: string): KeyObject => deriveSigningKey(credentials.secretAccessKey, { ...SCOPE, date });
  const start = { keyOf, scope: { ...SCOPE, date: '20261231' }, seedSignature: '0'.repeat(64) };
  const check = createFrameCheck(start, () => nowMs);
  for (const dateMs of [midnightMs - 1000, midnightMs, midnightMs + 1000]) {
    nowMs = dateMs;
    const [frame] = frames(chain.sign(Buffer.from('x'), dateMs)) as [Frame];
    expect(() => check(frame)).not.toThrow();
  }
});

it('refuses another payload under the same signature, and a frame without one', () => {
  const [first] = frames(BYTES) as [Frame];
  const payload = Buffer.from(first.payload);
  payload[20] = (payload[20] ?? 0) ^ 1;
  expect(() => openCheck()({ ...first, payload })).toThrow(REFUSED);
  expect(() => openCheck()({ ...first, headers: Buffer.alloc(0) })).toThrow(REFUSED);
});
