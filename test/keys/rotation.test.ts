/**
 * A rotated key: both work in the grace time, as bearer token and as signature, and the old one not a millisecond
 * longer.
 */
import { monotonicClock } from '../../src/lib/clock.ts';
import { parsePresentedCredential } from '../../src/keys/presented-credential.ts';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { authenticate } from '../../src/auth/authenticate.ts';
import { createFailureLimit } from '../../src/auth/failure-limit.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { type MintedKey, mintKey, parseGrace, rotateKey } from '../../src/keys/mint.ts';
import { findSignature } from '../../src/auth/signature.ts';
import type { ClientRequest } from '../../src/http/message.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { Store } from '../../src/domain/store.ts';
import type { VirtualKeyRow } from '../../src/domain/key.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { failureOf } from '../helpers/failure.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const serverSecret = Buffer.alloc(32, 1);
const START_MS = 1_700_000_000_000;
const GRACE_MS = 600_000;

let folder: string;
let store: Store;
let clock: { nowMs: number };
let old: MintedKey;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  store = await openSqliteStore(join(folder, 'keys.db'));
  clock = { nowMs: START_MS };
  old = await mintKey({ store, serverSecret, alias: 'alice', nowMs: START_MS, randomBytes });
});

afterEach(() => store.close());

async function rotate(graceMs: number, id = old.id): Promise<MintedKey> {
  const row = (await store.listKeys()).find((key) => key.id === id);
  if (row === undefined) throw new Error('no such key');
  return rotateKey(row, graceMs, { store, serverSecret, nowMs: clock.nowMs, randomBytes });
}

const options = () => ({ store, loadServerSecret: () => serverSecret, nowMs: () => clock.nowMs });

async function codeFor(request: ClientRequest): Promise<string> {
  const more = { masterKey: undefined, failures: createFailureLimit(monotonicClock(() => clock.nowMs)) };
  const presented = parsePresentedCredential(request.headers, request.target.query);
  return authenticate(request, presented, { ...options(), ...more }).then(
    () => 'in',
    (error: { code: string }) => error.code,
  );
}

const bearer = ({ key }: MintedKey): ClientRequest => aClientRequest({ headers: [['authorization', `Bearer ${key}`]] });
const signature = ({ accessKeyId }: MintedKey): ClientRequest => {
  const scope = `${accessKeyId}/20231114/us-east-1/bedrock/aws4_request`;
  const value = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`;
  return aClientRequest({
    headers: [
      ['authorization', value],
      ['x-amz-date', '20231114T221320Z'],
    ],
  });
};

describe('a rotated key', () => {
  it.each([
    { name: 'a bearer token', show: bearer },
    { name: 'a signature', show: signature },
  ])('lets a rotated key shown as $name work until the millisecond of its end', async ({ show }) => {
    const fresh = await rotate(GRACE_MS);
    for (const [atMs, seen] of [
      [START_MS, 'in'],
      [START_MS + GRACE_MS - 1, 'in'],
      [START_MS + GRACE_MS, 'ERR_KEY_REVOKED'],
      [START_MS + GRACE_MS * 10, 'ERR_KEY_REVOKED'],
    ] as const) {
      clock.nowMs = atMs;
      expect(await codeFor(show(old))).toBe(seen);
      expect(await codeFor(show(fresh))).toBe('in');
    }
    expect(await findSignature(signature(fresh), options())).toMatchObject({ row: { id: fresh.id } });
  });

  it('ends a key that is rotated without grace at once, though the clock is set back', async () => {
    const fresh = await rotate(0);
    clock.nowMs = START_MS - 3_600_000;
    expect(await codeFor(bearer(old))).toBe('ERR_KEY_REVOKED');
    expect(await codeFor(bearer(fresh))).toBe('in');
  });

  it('gives the successor the same alias with a secret and an access key id of its own', async () => {
    const fresh = await rotate(GRACE_MS);
    expect(fresh.alias).toBe('alice');
    for (const field of ['id', 'key', 'accessKeyId', 'keySha256'] as const) expect(fresh[field]).not.toBe(old[field]);
    expect(await store.listKeys()).toMatchObject([
      { id: old.id, alias: 'alice', endsAtMs: START_MS + GRACE_MS, revokedAtMs: undefined },
      { id: fresh.id, alias: 'alice', endsAtMs: undefined, revokedAtMs: undefined },
    ]);
  });

  it.each([0, GRACE_MS])('rotates no key again, and makes nothing (grace %i ms)', async (graceMs) => {
    await rotate(graceMs);
    const error = await failureOf(() => rotate(GRACE_MS));
    expect([error.code, error.message]).toEqual(['ERR_BAD_REQUEST', expect.stringContaining('rotated already')]);
    expect(await store.listKeys()).toHaveLength(2);
  });

  it('makes a chain of successors of which the last one is active', async () => {
    const second = await rotate(GRACE_MS);
    const third = await rotate(GRACE_MS, second.id);
    for (const key of [old, second, third]) expect(await codeFor(bearer(key))).toBe('in');
    const taken = await failureOf(() => mintKey({ ...options(), serverSecret, alias: 'alice', nowMs: 0, randomBytes }));
    expect(taken.code).toBe('ERR_BAD_REQUEST');
  });

  it('revokes a rotated key at once in its grace time', async () => {
    await rotate(GRACE_MS);
    await store.revokeKey(old.id, START_MS + 1);
    expect(await codeFor(bearer(old))).toBe('ERR_KEY_REVOKED');
  });

  it('makes no successor of a key that is not there', async () => {
    const row = { ...(await store.listKeys())[0], id: 'vk_gone' } as Parameters<typeof rotateKey>[0];
    const rotating = rotateKey(row, 0, { store, serverSecret, nowMs: 0, randomBytes });
    await expect(rotating).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST' });
    expect(await store.listKeys()).toHaveLength(1);
  });

  it('shows a rotation to a store that another process has open', async () => {
    const other = await openSqliteStore(join(folder, 'keys.db'));
    expect((await other.findKeyBySha256(old.keySha256))?.endsAtMs).toBeUndefined();
    const fresh = await rotate(GRACE_MS);
    expect((await other.findKeyBySha256(old.keySha256))?.endsAtMs).toBe(START_MS + GRACE_MS);
    expect((await other.findKeyByAccessKeyId(fresh.accessKeyId))?.id).toBe(fresh.id);
    await other.close();
  });
});

const dependencies = () => ({ store, serverSecret, nowMs: clock.nowMs, randomBytes });

async function rowOf(id: string): Promise<VirtualKeyRow> {
  const row = (await store.listKeys()).find((key) => key.id === id);
  if (row === undefined) throw new Error('no such key');
  return row;
}

describe('the successor', () => {
  const BERLIN = { unit: 'month', timeZone: 'Europe/Berlin' } as const;
  const policy = { ...EMPTY_POLICY, models: ['*claude*'], requestsPerMinute: 60, allowUnpriced: true };
  const terms = {
    policy: { ...policy, budget: { limitNanoUsd: 5e9, windowMs: undefined, calendar: BERLIN, anchorMs: START_MS } },
    tags: { team: 'search' },
    note: 'for the CI',
    metadata: { owner: { name: 'alice' } },
    expiresAtMs: START_MS + 2 * GRACE_MS,
  };

  async function mintWithLimits(): Promise<VirtualKeyRow> {
    const { id } = await mintKey({ ...dependencies(), alias: 'bob', ...terms });
    return rowOf(id);
  }

  it('gives the successor all that the old key has', async () => {
    const { id } = await rotateKey(await mintWithLimits(), GRACE_MS, dependencies());
    expect(await rowOf(id)).toMatchObject({ alias: 'bob', ...terms });
  });

  it('gives the successor what the caller changes, without what it takes away', async () => {
    const changes = { alias: 'carol', note: undefined, expiresAtMs: undefined, tags: {}, policy: EMPTY_POLICY };
    const { id, alias } = await rotateKey(await mintWithLimits(), 0, dependencies(), changes);
    expect([alias, await rowOf(id)]).toEqual([
      'carol',
      expect.objectContaining({ ...changes, metadata: terms.metadata }),
    ]);
  });

  it('makes no successor that would be born expired, unless it gets more time', async () => {
    const row = await mintWithLimits();
    clock.nowMs = terms.expiresAtMs;
    const error = await failureOf(() => rotateKey(row, 0, dependencies()));
    expect([error.code, error.message]).toEqual(['ERR_BAD_REQUEST', expect.stringContaining('has expired')]);
    const { id } = await rotateKey(row, 0, dependencies(), { expiresAtMs: clock.nowMs + 1 });
    expect((await rowOf(id)).expiresAtMs).toBe(clock.nowMs + 1);
  });

  it('lets no rotation lead around a block', async () => {
    const { id } = await mintWithLimits();
    await store.updateKey(id, { blockedAtMs: START_MS }, START_MS);
    const row = await rowOf(id);
    const error = await failureOf(() => rotateKey(row, 0, dependencies()));
    expect([error.code, error.message]).toEqual(['ERR_BAD_REQUEST', expect.stringContaining('is blocked')]);
    expect(await store.listKeys()).toHaveLength(2);
  });
});

describe('a grace time', () => {
  it.each([
    ['0', 0],
    ['0s', 0],
    ['30s', 30_000],
    ['10m', GRACE_MS],
    ['24H', 86_400_000],
    ['2w', 14 * 86_400_000],
    ['90d', 90 * 86_400_000],
  ])('reads the grace time %s as %i ms', (text, ms) => {
    expect(parseGrace(text, '--grace', 'ERR_BAD_OPTION')).toBe(ms);
  });

  it.each(['', '10', '-1s', '1.5h', '10 years', '91d', '9999999999s', 'm', '13w', '1M'])(
    'refuses the grace time "%s"',
    async (text) => {
      const error = await failureOf(async () => parseGrace(text, '--grace', 'ERR_BAD_OPTION'));
      expect([error.code, error.message]).toEqual(['ERR_BAD_OPTION', expect.stringMatching(/^--grace must be a time/)]);
    },
  );
});
