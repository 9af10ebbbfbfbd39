import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findSignature } from '../../src/auth/signature.ts';
import type { Store } from '../../src/domain/store.ts';
import { type MintedKey, mintKey } from '../../src/keys/mint.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { failureOf } from '../helpers/failure.ts';
import { type RequestToSign, SIGNED_AT_MS, signWithSdk } from '../helpers/sigv4-signing.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const SERVER_SECRET = Buffer.alloc(32, 1);

let store: Store;
let key: MintedKey;
/** How often the sealed key was opened. */
let openings: number;

beforeEach(async () => {
  store = await openSqliteStore(join(await makeTemporaryFolder(), 'keys.db'));
  key = await mintKey({ store, serverSecret: SERVER_SECRET, alias: undefined, nowMs: 0, randomBytes });
  openings = 0;
});

afterEach(() => store.close());

function loadServerSecret(): Buffer {
  openings += 1;
  return SERVER_SECRET;
}

async function verify(changes: Partial<RequestToSign> = {}): Promise<void> {
  const { accessKeyId, key: secretAccessKey } = key;
  const toSign = { method: 'POST', path: '/model/a/converse', accessKeyId, secretAccessKey, ...changes };
  const { request, bodySha256Hex } = await signWithSdk(toSign);
  const nowMs = (): number => changes.atMs ?? SIGNED_AT_MS;
  const pending = await findSignature(aClientRequest(request), { store, loadServerSecret, nowMs });
  pending?.verify(bodySha256Hex);
}

it('opens a sealed key once for a day, a region and a service', async () => {
  await verify();
  await verify({ path: '/model/b/converse', body: '{}' });
  await verify({ sendsPayloadHash: false });
  expect(openings).toBe(1);
  await verify({ region: 'eu-west-1' });
  await verify({ service: 'bedrock-agentcore' });
  await verify({ atMs: SIGNED_AT_MS + 24 * 60 * 60_000 });
  await verify();
  expect(openings).toBe(4);
});

it('keeps no signing key of a scope in which nothing was verified', async () => {
  for (const region of ['made-up', 'made-up', 'made-up']) {
    expect((await failureOf(() => verify({ region, secretAccessKey: 'guessed' }))).code).toBe('ERR_SIGNATURE');
  }
  expect(openings).toBe(3);
});

it('refuses a wrong signature after right ones', async () => {
  await verify();
  expect((await failureOf(() => verify({ secretAccessKey: 'guessed' }))).code).toBe('ERR_SIGNATURE');
});

it('refuses a revoked key that has signed before', async () => {
  await verify();
  const { id } = (await store.findKeyByAccessKeyId(key.accessKeyId)) ?? { id: '' };
  await store.revokeKey(id, SIGNED_AT_MS);
  expect((await failureOf(() => verify())).code).toBe('ERR_KEY_REVOKED');
});
