import { monotonicClock } from '../../src/lib/clock.ts';
import { EMPTY_SHA256 } from '../../src/http/body.ts';
import { parsePresentedCredential } from '../../src/keys/presented-credential.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { authenticate } from '../../src/auth/authenticate.ts';
import { isMasterKey } from '../../src/auth/master-key.ts';
import { createFailureLimit } from '../../src/auth/failure-limit.ts';
import { type MintedKey, mintKey } from '../../src/keys/mint.ts';
import type { ClientRequest, HeaderPair } from '../../src/http/message.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { Store } from '../../src/domain/store.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { failureOf } from '../helpers/failure.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const MASTER_KEY = 'sk-master';
const SERVER_SECRET = Buffer.alloc(32, 1);
const NOW_MS = 1_700_000_000_000;
const nowMs = (): number => NOW_MS;

let folder: string;
let store: Store;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  store = await openSqliteStore(join(folder, 'keys.db'));
});

afterEach(() => store.close());

const NO_BODY = { sha256: EMPTY_SHA256, sizeBytes: 0 };

async function principalOf(request: ClientRequest, masterKey?: string): Promise<Principal> {
  const failures = createFailureLimit(monotonicClock(nowMs));
  const options = { store, masterKey, loadServerSecret: () => SERVER_SECRET, failures, nowMs };
  const caller = await authenticate(request, parsePresentedCredential(request.headers, request.target.query), options);
  const { principal, checkFrame } = await caller.verify(NO_BODY);
  expect(principal).toEqual(caller.principal);
  expect(checkFrame).toBeUndefined();
  return principal;
}

const mint = (alias?: string): Promise<MintedKey> =>
  mintKey({ store, serverSecret: SERVER_SECRET, alias, nowMs: 0, randomBytes });

const showing = (...headers: HeaderPair[]): ClientRequest => aClientRequest({ headers });
const bearer = (token: string): ClientRequest => showing(['Authorization', `Bearer ${token}`]);
const dummySignature = (accessKeyId: string): HeaderPair => [
  'authorization',
  `AWS4-HMAC-SHA256 Credential=${accessKeyId}/20260314/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0`,
];

describe('open mode', () => {
  it.each(['127.0.0.1', '127.0.0.9', '::1', '::ffff:127.0.0.1'])(
    'lets a client at %s in while no key exists',
    async (peerAddress) => {
      expect(await principalOf(aClientRequest({ peerAddress }))).toEqual({ kind: 'anonymous', label: 'anonymous' });
    },
  );

  it.each(['192.168.1.7', '::ffff:192.168.1.7', '2001:db8::1', 'fe80::1%eth0', '0.0.0.0', ''])(
    'refuses a client at "%s" while no key exists',
    async (peerAddress) => {
      const error = await failureOf(() => principalOf(aClientRequest({ peerAddress })));
      expect([error.code, error.status]).toEqual(['ERR_OPEN_MODE_REMOTE', 403]);
    },
  );

  it.each<HeaderPair>([
    ['X-Forwarded-For', '203.0.113.9'],
    ['X-Forwarded-For', '127.0.0.1, 203.0.113.9'],
    ['X-Real-IP', '203.0.113.9'],
    ['CF-Connecting-IP', '2001:db8::1'],
    ['Forwarded', 'for="[2001:db8::1]:4711";proto=https'],
    ['Forwarded', 'for=127.0.0.1, for=_hidden'],
  ])('refuses a client that a tunnel on this machine brings while no key exists: %s: %s', async (name, value) => {
    const error = await failureOf(() => principalOf(showing([name, value])));
    expect([error.code, error.status]).toEqual(['ERR_OPEN_MODE_REMOTE', 403]);
  });

  it.each<HeaderPair>([
    ['X-Forwarded-For', '127.0.0.1'],
    ['X-Forwarded-For', '::1'],
    ['Forwarded', 'for="[::1]:4711"'],
    ['Forwarded', 'proto=http'],
  ])(
    'lets a client in that a server on this machine brings from here while no key exists: %s: %s',
    async (...header) => {
      expect((await principalOf(showing(header))).kind).toBe('anonymous');
    },
  );

  it('ignores the key that a client shows while no key exists, as recipes send one anyway', async () => {
    expect((await principalOf(bearer('anything'))).kind).toBe('anonymous');
    expect((await principalOf(showing(dummySignature('AKIDEXAMPLE')))).kind).toBe('anonymous');
  });

  it('ends open mode with the first key, and does not bring it back when that is revoked', async () => {
    const { id } = await mint();
    expect((await failureOf(() => principalOf(aClientRequest()))).code).toBe('ERR_KEY_MISSING');
    await store.revokeKey(id, 1);
    expect((await failureOf(() => principalOf(aClientRequest()))).code).toBe('ERR_KEY_MISSING');
  });

  it('has no open mode beside a master key', async () => {
    expect((await failureOf(() => principalOf(aClientRequest(), MASTER_KEY))).code).toBe('ERR_KEY_MISSING');
  });
});

describe('a virtual key', () => {
  it('takes a virtual key from any address, for its alias', async () => {
    const { id, key } = await mint('alice');
    const request = { ...bearer(key), peerAddress: '192.168.1.7' };
    expect(await principalOf(request)).toEqual({
      kind: 'key',
      keyId: id,
      label: 'alice',
      alias: 'alice',
      policy: EMPTY_POLICY,
      tags: {},
    });
  });

  it('calls a virtual key without an alias by its last four characters', async () => {
    const { key } = await mint();
    expect((await principalOf(bearer(key))).label).toBe(`sk-…${key.slice(-4)}`);
  });

  it.each<{ name: string; headers: (key: string) => HeaderPair[] }>([
    { name: 'x-api-key', headers: (key) => [['x-api-key', key]] },
    { name: 'the slot of an access key id', headers: (key) => [dummySignature(`Bearer ${key}`)] },
    {
      name: 'x-api-key beside a dummy signature',
      headers: (key) => [['x-api-key', key], dummySignature('AKIDEXAMPLE')],
    },
  ])('takes a virtual key from $name', async ({ headers }) => {
    const { id, key } = await mint();
    expect(await principalOf(showing(...headers(key)))).toMatchObject({ kind: 'key', keyId: id });
  });

  it('notes when a virtual key was used', async () => {
    const { key } = await mint();
    await principalOf(bearer(key));
    await store.close();
    store = await openSqliteStore(join(folder, 'keys.db'));
    expect((await store.listKeys())[0]?.lastUsedAtMs).toBe(NOW_MS);
  });

  it.each([
    { name: 'an empty body', sizeBytes: 0, afterMs: 1 },
    { name: 'a body', sizeBytes: 5, afterMs: 0 },
  ])('refuses a key that was revoked while $name came, counts a failure and notes no use', async (body) => {
    const { id, key } = await mint();
    const clock = { nowMs: NOW_MS };
    const failures = createFailureLimit(monotonicClock(() => clock.nowMs));
    const noted = vi.spyOn(failures, 'note');
    const touched = vi.spyOn(store, 'touchKey');
    const options = { store, masterKey: undefined, loadServerSecret: () => SERVER_SECRET, failures };
    const request = bearer(key);
    const presented = parsePresentedCredential(request.headers, undefined);
    const caller = await authenticate(request, presented, { ...options, nowMs: () => clock.nowMs });
    clock.nowMs += body.afterMs;
    await store.revokeKey(id, 1);
    const error = await failureOf(() => caller.verify({ sha256: EMPTY_SHA256, sizeBytes: body.sizeBytes }));
    expect([error.code, noted.mock.calls.length, touched.mock.calls.length]).toEqual(['ERR_KEY_REVOKED', 1, 0]);
  });

  it('refuses a virtual key from the next request on when another process revokes it', async () => {
    const { id, key } = await mint();
    await principalOf(bearer(key));
    const other = await openSqliteStore(join(folder, 'keys.db'));
    await other.revokeKey(id, 1);
    await other.close();
    const error = await failureOf(() => principalOf(bearer(key)));
    expect([error.code, error.status]).toEqual(['ERR_KEY_REVOKED', 401]);
    expect(error.message).toBe(`The key sk-…${key.slice(-4)} was revoked.`);
  });

  it.each(['sk-unknown', 'nonsense', '__proto__'])(
    'refuses %s as an unknown key, without quoting it',
    async (token) => {
      await mint();
      const error = await failureOf(() => principalOf(bearer(token)));
      expect([error.code, error.status]).toEqual(['ERR_KEY_UNKNOWN', 401]);
      expect(`${error.message} ${error.hint}`).not.toContain(token);
    },
  );

  it.each<{ name: string; show: (key: MintedKey) => string }>([
    { name: 'its hash', show: ({ keySha256 }) => keySha256 },
    { name: 'its id', show: ({ id }) => id },
    { name: 'its access key id', show: ({ accessKeyId }) => accessKeyId },
    { name: 'a letter more', show: ({ key }) => `${key}A` },
    { name: 'another case', show: ({ key }) => key.toUpperCase() },
    { name: 'a null byte in its encoding', show: ({ key }) => `${key}%00` },
  ])('refuses what is not the virtual key itself: $name', async ({ show }) => {
    const minted = await mint();
    expect((await failureOf(() => principalOf(bearer(show(minted))))).status).toBe(401);
  });

  it('refuses a virtual key beside another one', async () => {
    const [one, other] = [await mint(), await mint()];
    const both = showing(['x-api-key', one.key], ['authorization', `Bearer ${other.key}`]);
    expect((await failureOf(() => principalOf(both))).code).toBe('ERR_KEYS_DIFFER');
    const otherSignature = showing(['x-api-key', one.key], dummySignature(other.accessKeyId));
    expect((await failureOf(() => principalOf(otherSignature))).code).toBe('ERR_KEYS_DIFFER');
  });

  it('accepts a virtual key beside a signature with its own pair', async () => {
    const { id, key, accessKeyId } = await mint();
    expect(await principalOf(showing(['x-api-key', key], dummySignature(accessKeyId)))).toMatchObject({ keyId: id });
  });
});

describe('the master key', () => {
  it.each([
    { name: 'of the usual form', masterKey: 'sk-master' },
    { name: 'of any other form', masterKey: 'correct horse' },
  ])('accepts a master key $name', async ({ masterKey }) => {
    expect(await principalOf(bearer(masterKey), masterKey)).toEqual({ kind: 'master', label: 'master' });
  });

  it('accepts virtual keys beside a master key', async () => {
    const { id, key } = await mint();
    expect(await principalOf(bearer(key), MASTER_KEY)).toMatchObject({ kind: 'key', keyId: id });
  });

  it.each(['sk-maste', 'sk-master ', 'SK-MASTER', 'sk-masterx', ''])(
    'does not take "%s" for the master key',
    (token) => {
      expect(isMasterKey(token, MASTER_KEY)).toBe(false);
    },
  );

  it('takes nothing for the master key if none is set', () => {
    expect(isMasterKey('', undefined)).toBe(false);
    expect(isMasterKey('undefined', undefined)).toBe(false);
  });
});

it('says that the store is unavailable rather than letting anyone in', async () => {
  await store.close();
  await rm(folder, { recursive: true, force: true });
  const error = await failureOf(() => principalOf(aClientRequest()));
  expect([error.code, error.status]).toEqual(['ERR_STORE_UNAVAILABLE', 503]);
  store = await openSqliteStore(join(folder, 'keys.db'));
});

describe('a master key without the form of a key', () => {
  const TOKEN = ['authorization', 'Bearer a.b.c'] as const;

  it('accepts a master key of free form beside a token of another kind', async () => {
    expect(await principalOf(showing(TOKEN, ['x-api-key', 'open sesame']), 'open sesame')).toMatchObject({
      kind: 'master',
    });
  });

  it('refuses a wrong virtual key though a master key of free form stands beside it', async () => {
    const request = showing(['authorization', 'Bearer sk-wrong'], ['x-api-key', 'open sesame']);
    await expect(principalOf(request, 'open sesame')).rejects.toMatchObject({ code: 'ERR_KEY_UNKNOWN' });
  });
});
