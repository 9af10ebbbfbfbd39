/**
 * Which models stand behind an application inference profile: asked of a server that verifies the signature, and
 * remembered.
 */
import { monotonicClock } from '../../../src/lib/clock.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCredentialSource } from '../../../src/upstream/aws/credentials.ts';
import { createForwarder, type Forwarder } from '../../../src/upstream/aws/forward.ts';
import type { FindProfileModels } from '../../../src/admission/models.ts';
import type { KeyPolicy } from '../../../src/domain/key.ts';
import type { Principal } from '../../../src/domain/principal.ts';
import { EMPTY_POLICY } from '../../../src/keys/limits.ts';
import { createProfileLookup, type ProfileLookup } from '../../../src/upstream/aws/profile-lookup.ts';
import { type FakeUpstream, sendAwsError, sendJson, startFakeUpstream } from '../../helpers/fake-upstream.ts';
import { AWS_PAIR } from '../../helpers/testbed.ts';

const ARN = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc1def2ghi3';
const MODEL = 'arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0';

let upstream: FakeUpstream;
let forwarder: Forwarder;
let nowMs: number;
let findFor: ProfileLookup;
let find: FindProfileModels;

beforeEach(async () => {
  upstream = await startFakeUpstream({ ...AWS_PAIR, nowMs: () => nowMs });
  forwarder = createForwarder({ connectTimeoutMs: 1000, idleTimeoutMs: 5000 });
  nowMs = 1_900_000_000_000;
  const tickMs = monotonicClock(() => nowMs);
  const credentials = createCredentialSource({
    profile: undefined,
    nowMs: () => nowMs,
    tickMs,
    load: async () => AWS_PAIR,
  });
  findFor = createProfileLookup({
    authorityOf: () => ({ credentials, apiKey: undefined }),
    forwarder,
    findControlPlane: () => ({
      origin: `http://${upstream.authority}`,
      host: upstream.authority,
      pathPrefix: '/aws',
      signingName: 'bedrock',
      bearerKeys: true,
    }),
    clock: { nowMs: () => nowMs },
    tickMs,
  });
  find = findFor(callerOf('vk_a'));
});

afterEach(async () => {
  expect(upstream.failures).toEqual([]);
  await forwarder.close();
  await upstream.close();
});

const callerOf = (keyId: string, policy: Partial<KeyPolicy> = {}): Principal => ({
  kind: 'key',
  keyId,
  label: keyId,
  policy: { ...EMPTY_POLICY, ...policy },
  tags: {},
});

const respond = (content: unknown): void =>
  upstream.respondWith((_request, response) => sendJson(response, 200, content));

it('keeps what one account shows apart from what another one does', async () => {
  respond({ models: [{ modelArn: MODEL }] });
  await find(ARN, 'us-east-1');
  await findFor(callerOf('vk_b'))(ARN, 'us-east-1');
  expect(upstream.requests).toHaveLength(1);
  await findFor(callerOf('vk_c', { profile: 'research' }))(ARN, 'us-east-1');
  expect(upstream.requests).toHaveLength(2);
});

it('looks a profile up once for several requests, and again after an hour', async () => {
  respond({ models: [{ modelArn: MODEL }] });
  expect(await Promise.all([find(ARN, 'us-east-1'), find(ARN, 'us-east-1')])).toEqual([[MODEL], [MODEL]]);
  nowMs += 3_599_000;
  await find(ARN, 'us-east-1');
  expect(upstream.requests.map(({ rawTarget }) => rawTarget)).toEqual([
    `/aws/inference-profiles/${encodeURIComponent(ARN)}`,
  ]);
  nowMs += 1_000;
  await find(ARN, 'us-east-1');
  expect(upstream.requests).toHaveLength(2);
});

it('looks a profile up in each region', async () => {
  respond({ models: [{ modelArn: MODEL }] });
  await find(ARN, 'us-east-1');
  await find(ARN, 'eu-west-1');
  expect(upstream.requests.map(({ signature }) => signature?.scope.region)).toEqual(['us-east-1', 'eu-west-1']);
});

it.each([
  { name: 'no JSON', content: undefined },
  { name: 'no models', content: { models: [] } },
  { name: 'a model without an ARN', content: { models: [{ modelArn: MODEL }, {}] } },
  { name: 'another shape', content: { models: 'all' } },
  { name: 'a list', content: [] },
  { name: 'too much', content: { models: [{ modelArn: 'x'.repeat(300_000) }] } },
])('knows no models of a profile from $name, and asks again after half a minute', async ({ content }) => {
  upstream.respondWith((_request, response) => {
    if (content === undefined) response.end('<html>');
    else sendJson(response, 200, content);
  });
  expect(await find(ARN, 'us-east-1')).toBeUndefined();
  expect(await find(ARN, 'us-east-1')).toBeUndefined();
  expect(upstream.requests).toHaveLength(1);
  nowMs += 30_000;
  respond({ models: [{ modelArn: MODEL }] });
  expect(await find(ARN, 'us-east-1')).toEqual([MODEL]);
});

it('knows no models of a profile if AWS refuses, or breaks off', async () => {
  upstream.respondWith((_request, response) =>
    sendAwsError(response, { status: 403, type: 'AccessDeniedException', message: 'no' }),
  );
  expect(await find(ARN, 'us-east-1')).toBeUndefined();
  upstream.respondWith((_request, response) => void response.socket?.resetAndDestroy());
  expect(await find(`${ARN}2`, 'us-east-1')).toBeUndefined();
});

const name = (index: number): string => `arn:aws:bedrock:us-east-1:1:application-inference-profile/p${index}`;

describe('clients that name one profile after the other', () => {
  it('looks up at most sixty profiles a minute, half of them for one caller', async () => {
    respond({ models: [{ modelArn: MODEL }] });
    for (let index = 0; index < 70; index += 1) await find(name(index), 'us-east-1');
    expect(upstream.requests).toHaveLength(30);
    expect(await find(name(0), 'us-east-1')).toEqual([MODEL]);
    expect(await find(name(69), 'us-east-1')).toBeUndefined();
    expect(await findFor(callerOf('vk_b'))(name(69), 'us-east-1')).toEqual([MODEL]);
    for (let index = 100; index < 300; index += 1) await findFor(callerOf(`vk_${index}`))(name(index), 'us-east-1');
    expect(upstream.requests).toHaveLength(60);
    nowMs += 60_000;
    expect(await find(name(50), 'us-east-1')).toEqual([MODEL]);
  });

  it('looks up at most eight profiles at once, half of them for one caller', async () => {
    upstream.respondWith(() => {});
    const asked = Array.from({ length: 20 }, (_, index) => find(name(index), 'us-east-1'));
    expect(await Promise.all(asked.slice(4))).toEqual(Array.from({ length: 16 }, () => undefined));
    for (let index = 100; index < 120; index += 1) void findFor(callerOf(`vk_${index}`))(name(index), 'us-east-1');
    for (let count = 0; count < 8; count += 1) await upstream.nextRequest();
    expect(upstream.requests).toHaveLength(8);
  });

  it('keeps what a profile led to if it cannot be looked up again', async () => {
    respond({ models: [{ modelArn: MODEL }] });
    expect(await find(ARN, 'us-east-1')).toEqual([MODEL]);
    nowMs += 3_600_000;
    for (let index = 0; index < 30; index += 1) await find(name(index), 'us-east-1');
    const asked = upstream.requests.length;
    expect(await find(ARN, 'us-east-1')).toEqual([MODEL]);
    expect(upstream.requests).toHaveLength(asked);
    nowMs += 60_000;
    upstream.respondWith((_request, response) => sendAwsError(response, { status: 500, type: 'X', message: 'no' }));
    expect(await find(ARN, 'us-east-1')).toEqual([MODEL]);
    expect(upstream.requests).toHaveLength(asked + 1);
  });

  it('does not forget what is known for names that lead nowhere', async () => {
    respond({ models: [{ modelArn: MODEL }] });
    await find(ARN, 'us-east-1');
    upstream.respondWith((_request, response) =>
      sendAwsError(response, { status: 404, type: 'ResourceNotFoundException', message: 'no' }),
    );
    for (let index = 0; index < 1_020; index += 1) {
      if (index % 30 === 0) nowMs += 60_000;
      await find(name(index), 'us-east-1');
    }
    nowMs = 1_900_000_000_000;
    const asked = upstream.requests.length;
    expect(await find(ARN, 'us-east-1')).toEqual([MODEL]);
    expect(upstream.requests).toHaveLength(asked);
  });
});
