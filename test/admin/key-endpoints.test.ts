import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { findKeyState } from '../../src/keys/state.ts';
import { hashKey, unsealKey } from '../../src/keys/secret.ts';
import type { VirtualKeyRow } from '../../src/domain/key.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { type Admin, openAdmin } from '../helpers/open-admin.ts';

const UNKNOWN_KEY = 'sk-nobody-has-this-key-0123456789abcdefghijklmno';

async function stateOf({ store, nowMs }: Admin, key: string): Promise<string | undefined> {
  const row = await store.findKeyBySha256(hashKey(key));
  return row === undefined ? undefined : findKeyState(row, nowMs());
}

/** A key that works for another hour, and its successor under the same alias. */
async function rotated() {
  const admin = await openAdmin();
  const { key, key_id: oldId } = await admin.post('/key/generate', { key_alias: 'a' });
  const fresh = await admin.post('/key/regenerate', { key, grace_period: '1h' });
  return { admin, key: String(key), oldId: String(oldId), fresh: String(fresh['key']) };
}

describe('POST /key/generate', () => {
  it('answers /key/generate with the fields of LiteLLM and our own', async () => {
    const { post, nowMs } = await openAdmin();
    const json = await post('/key/generate', { key_alias: 'alice' });
    const createdAt = new Date(nowMs()).toISOString();
    expect(json).toEqual({
      key: expect.stringMatching(/^sk-[\w-]{43}$/),
      secret_access_key: json['key'],
      key_name: `sk-...${json['key'].slice(-4)}`,
      key_alias: 'alice',
      token: hashKey(json['key']),
      token_id: hashKey(json['key']),
      key_id: expect.stringMatching(/^vk_[a-z2-7]{16}$/),
      access_key_id: expect.stringMatching(/^BRPX[A-Z2-7]{16}$/),
      status: 'active',
      blocked: false,
      expires: null,
      models: [],
      max_budget: null,
      budget_duration: null,
      budget_timezone: null,
      budget_reset_at: null,
      spend: 0,
      total_spend: 0,
      rpm_limit: null,
      tpm_limit: null,
      max_parallel_requests: null,
      user_id: null,
      team_id: null,
      tags: [],
      metadata: {},
      allowed_routes: ['llm_api_routes'],
      scope: 'default',
      regions: [],
      upstreams: [],
      allow_unpriced: false,
      profile: null,
      role_arn: null,
      inference_profiles: {},
      note: null,
      created_at: createdAt,
      updated_at: createdAt,
      last_used_at: null,
      aliases: {},
      config: {},
      permissions: {},
      model_max_budget: {},
      soft_budget: null,
      budget_id: null,
      organization_id: null,
      litellm_budget_table: null,
    });
  });

  it('seals a generated key under the secret of the server', async () => {
    const { post, store, options } = await openAdmin();
    const { key } = await post('/key/generate');
    const [row] = await store.listKeys();
    expect(row && unsealKey(row.sealedKey, row.id, options.loadServerSecret())).toBe(key);
  });

  it('generates a key that is blocked from its first moment', async () => {
    const admin = await openAdmin();
    const json = await admin.post('/key/generate', { blocked: true });
    expect([json['blocked'], json['status'], await stateOf(admin, json['key'])]).toEqual([true, 'blocked', 'blocked']);
  });

  it.each([
    'key',
    'new_key',
    'spend',
    'soft_budget',
    'model_max_budget',
    'budget_id',
    'budget_limits',
    'organization_id',
    'project_id',
    'send_invite_email',
    'config',
    'permissions',
    'guardrails',
    'object_permission',
    'allowed_passthrough_routes',
    'auto_rotate',
    'rotation_interval',
    'tpd_limit',
    'model_rpm_limit',
    'rpm_limit_type',
    'temp_budget_increase',
    'throttle_on_budget_exceeded',
    'keyalias',
    'grace_period',
  ])('refuses %s by name, whatever it says, and takes it if it says nothing', async (field) => {
    const { call, store } = await openAdmin();
    for (const value of ['x', 1, true, [1], { x: 1 }]) {
      const { status, json } = await call('/key/generate', { body: { key_alias: 'a', [field]: value } });
      expect([status, json['error'].param]).toEqual([400, field]);
      expect(json['error'].message).toContain(`does not support these fields: ${field}.`);
    }
    expect(await store.hasAnyKey()).toBe(false);
    for (const value of [null, [], {}, 0, false, '']) {
      expect((await call('/key/generate', { body: { [field]: value } })).status).toBe(200);
    }
  });

  it('takes a query parameter that it does not know, if it asks for nothing', async () => {
    const { call } = await openAdmin();
    for (const value of ['', 'false', 'False', '0', 'null', 'None']) {
      expect((await call(`/key/list?expand=${value}`)).status).toBe(200);
    }
    expect((await call('/key/list?expand=user')).json['error']).toMatchObject({ code: '400', param: 'expand' });
  });

  it.each(['/key/update', '/key/regenerate'])(
    'does not take 0 for nothing in %s, where it would reset',
    async (path) => {
      const { call, post } = await openAdmin();
      const { key } = await post('/key/generate', { spend: 0 });
      const { status, json } = await call(path, { body: { key, spend: 0 } });
      expect([status, json['error'].param]).toEqual([400, 'spend']);
      expect((await call(path, { body: { key, spend: null } })).status).toBe(200);
    },
  );

  it('refuses /key/generate under an alias that an active key has', async () => {
    const { call, post } = await openAdmin();
    await post('/key/generate', { key_alias: 'alice' });
    const { status, json } = await call('/key/generate', { body: { key_alias: 'alice' } });
    expect([status, json['error'].type]).toEqual([400, 'bad_request_error']);
    expect(json['error'].message).toContain('"alice"');
  });
});

describe('GET /key/info', () => {
  it('finds a key by itself, its token and its id, and never shows it', async () => {
    const { call, post } = await openAdmin();
    const { key, token, key_id: id } = await post('/key/generate', { key_alias: 'alice' });
    for (const named of [key, token, id]) {
      const { status, json } = await call(`/key/info?key=${named}`);
      expect([status, json['key'], json['info'].key_alias]).toEqual([200, token, 'alice']);
      expect(JSON.stringify(json)).not.toContain(key);
    }
  });

  it('answers a virtual key about itself and nothing else', async () => {
    const { call, post } = await openAdmin();
    const mine = await post('/key/generate');
    const other = await post('/key/generate');
    const headers = { authorization: `Bearer ${mine['key']}` };
    for (const query of ['', `?key=${mine['key']}`, `?key=${mine['token']}`, `?key=${mine['key_id']}`]) {
      const { status, json } = await call(`/key/info${query}`, { headers });
      expect([status, json['key']]).toEqual([200, mine['token']]);
    }
    const responses = await Promise.all(
      [other['key'], other['token'], UNKNOWN_KEY].map((named) => call(`/key/info?key=${named}`, { headers })),
    );
    expect(responses.map(({ status }) => status)).toEqual([403, 403, 403]);
    expect(new Set(responses.map(({ json }) => json['error'].message)).size).toBe(1);
  });

  it.each([
    { name: 'unknown', make: async () => UNKNOWN_KEY, type: 'token_not_found_in_db' },
    {
      name: 'blocked',
      make: async ({ post }: Admin) => (await post('/key/generate', { blocked: true }))['key'] as string,
      type: 'auth_error',
    },
    {
      name: 'expired',
      make: async ({ post, wait }: Admin) => {
        const { key } = await post('/key/generate', { duration: '30s' });
        wait(30_000);
        return key as string;
      },
      type: 'expired_key',
    },
  ])('refuses /key/info to a calling key that is $name', async ({ make, type }) => {
    const admin = await openAdmin();
    const key = await make(admin);
    const { status, json } = await admin.call('/key/info', { headers: { authorization: `Bearer ${key}` } });
    expect([status, json['error'].type]).toEqual([401, type]);
    expect(JSON.stringify(json)).not.toContain(key);
  });

  it('asks the master key for a key by name', async () => {
    const { call } = await openAdmin();
    expect((await call('/key/info')).json['error']).toMatchObject({ param: 'key', code: '400' });
  });
});

describe('an empty alias', () => {
  it('takes the alias of a key away', async () => {
    const { post } = await openAdmin();
    const { key } = await post('/key/generate', { key_alias: 'alice', max_budget: 1, budget_duration: '1mo' });
    const updated = await post('/key/update', { key, key_alias: '', max_budget: 25, budget_duration: '1mo' });
    expect([updated['key_alias'], updated['max_budget'], updated['budget_reset_at']]).toEqual([
      null,
      25,
      '2030-02-01T00:00:00.000Z',
    ]);
  });

  it('names no key, and gives none to a new one', async () => {
    const { call, post } = await openAdmin();
    for (const _ of [1, 2]) expect((await post('/key/generate', { key_alias: '' }))['key_alias']).toBeNull();
    const { status, json } = await call('/key/update', { body: { key_alias: '', max_budget: 25 } });
    expect([status, json['error'].param]).toEqual([400, 'key']);
  });
});

describe('a key that is not there', () => {
  it.each([
    { path: '/key/update', body: { key: UNKNOWN_KEY, rpm_limit: 1 }, param: 'key' },
    { path: '/key/update', body: { key_alias: 'nobody', rpm_limit: 1 }, param: 'key_alias' },
    { path: '/key/block', body: { key: UNKNOWN_KEY }, param: 'key' },
    { path: '/key/unblock', body: { key: hashKey(UNKNOWN_KEY) }, param: 'key' },
    { path: '/key/delete', body: { keys: [UNKNOWN_KEY] }, param: 'keys' },
    { path: '/key/delete', body: { keys: ['an-alias'] }, param: 'keys' },
    { path: '/key/delete', body: { key_aliases: ['nobody'] }, param: 'key_aliases' },
    { path: `/key/${UNKNOWN_KEY}/regenerate`, body: {}, param: 'key' },
    { path: '/key/vk_aaaaaaaaaaaaaaaa/regenerate', body: {}, param: 'key' },
    { path: '/key/regenerate', body: { key: UNKNOWN_KEY }, param: 'key' },
  ])('answers 404 to $path for an unknown key, and shows neither key nor hash', async ({ path, body, param }) => {
    const { call } = await openAdmin();
    const { status, json } = await call(path, { body });
    expect([status, json['error'].type, json['error'].param]).toEqual([404, 'token_not_found_in_db', param]);
    expect(JSON.stringify(json)).not.toContain(UNKNOWN_KEY);
    expect(JSON.stringify(json)).not.toContain(hashKey(UNKNOWN_KEY));
  });
});

describe('POST /key/update', () => {
  it('changes what is named of a key and nothing else, under any name of the key', async () => {
    const { post, store, wait, nowMs } = await openAdmin();
    const made = await post('/key/generate', {
      key_alias: 'a',
      models: ['x*'],
      rpm_limit: 5,
      tags: ['t=1'],
      note: 'n',
    });
    wait(1_000);
    const names = [
      { key: made['key'], rpm_limit: 6 },
      { key: made['token'], tpm_limit: 7 },
      { key: made['key_id'], max_parallel_requests: 8 },
      { key_alias: 'a', scope: 'all' },
    ];
    for (const body of names) await post('/key/update', body);
    const { key, secret_access_key: _secret, ...before } = made;
    const last = await post('/key/update', { key });
    expect(last).toEqual({
      ...before,
      key: made['token'],
      rpm_limit: 6,
      tpm_limit: 7,
      max_parallel_requests: 8,
      scope: 'all',
      allowed_routes: [],
      updated_at: new Date(nowMs()).toISOString(),
    });
    expect((await store.listKeys())[0]?.alias).toBe('a');
  });

  it('gives a key a new alias if the key is named otherwise', async () => {
    const { post } = await openAdmin();
    const { key } = await post('/key/generate', { key_alias: 'a' });
    expect(await post('/key/update', { key, key_alias: 'b' })).toMatchObject({ key_alias: 'b' });
    expect(await post('/key/update', { key, key_alias: null })).toMatchObject({ key_alias: null });
  });

  it('loses none of many changes that arrive while the database is busy', async () => {
    const { call, post, databasePath } = await openAdmin();
    const { key } = await post('/key/generate');
    const changes = [
      { rpm_limit: 1 },
      { tpm_limit: 2 },
      { max_parallel_requests: 3 },
      { max_budget: 4 },
      { scope: 'all' },
    ];
    const writer = new Database(databasePath);
    writer.exec('BEGIN IMMEDIATE');
    const changing = changes.map((change) => post('/key/update', { key, ...change }));
    // By then they have arrived, most likely; reading waits for nobody.
    for (let index = 0; index < 5; index += 1) await call('/key/list');
    writer.exec('COMMIT');
    writer.close();
    await Promise.all(changing);
    expect(await post('/key/update', { key })).toMatchObject(Object.assign({}, ...changes));
  });

  it('goes on with changes after one that was refused', async () => {
    const { call, post } = await openAdmin();
    const { key } = await post('/key/generate');
    const [refused, done] = await Promise.all([
      call('/key/update', { body: { key, duration: 'soon' } }),
      call('/key/update', { body: { key, rpm_limit: 3 } }),
    ]);
    expect([refused.status, refused.json['error'].param, done.json['rpm_limit']]).toEqual([400, 'duration', 3]);
  });

  it('asks which key is to be changed', async () => {
    const { call } = await openAdmin();
    const { status, json } = await call('/key/update', { body: { rpm_limit: 1 } });
    expect([status, json['error'].param]).toEqual([400, 'key']);
  });

  it('shows a change of a key at once to another process on the same database', async () => {
    const { post, databasePath } = await openAdmin();
    const { key } = await post('/key/generate');
    const other = await openSqliteStore(databasePath);
    const find = async (): Promise<VirtualKeyRow | undefined> => other.findKeyBySha256(hashKey(key));
    expect((await find())?.policy.requestsPerMinute).toBeUndefined();
    await post('/key/update', { key, rpm_limit: 9, blocked: true });
    const row = await find();
    expect([row?.policy.requestsPerMinute, row?.blockedAtMs !== undefined]).toEqual([9, true]);
    await other.close();
  });
});

describe('POST /key/block and /key/unblock', () => {
  it('blocks a key and lets it go on, however often', async () => {
    const admin = await openAdmin();
    const { key, token } = await admin.post('/key/generate');
    expect(await admin.post('/key/block', { key })).toMatchObject({ token, blocked: true, status: 'blocked' });
    admin.wait(5_000);
    expect(await admin.post('/key/block', { key: token })).toMatchObject({ blocked: true });
    expect((await admin.store.listKeys())[0]?.blockedAtMs).toBe(admin.nowMs() - 5_000);
    expect(await admin.post('/key/unblock', { key })).toMatchObject({ blocked: false, status: 'active' });
    expect(await stateOf(admin, key)).toBe('active');
  });
});

describe('POST /key/delete', () => {
  it('deletes all keys that are named, whichever way', async () => {
    const { post, store } = await openAdmin();
    const [a, b, c] = [await post('/key/generate'), await post('/key/generate'), await post('/key/generate')];
    await post('/key/generate', { key_alias: 'd' });
    await post('/key/generate', { key_alias: 'e' });
    const kept = await post('/key/generate', { key_alias: 'kept' });
    const keys = [a['key'], b['token'], c['key_id'], a['token']];
    const deleted = await post('/key/delete', { keys, key_aliases: ['d', 'e'] });
    expect(deleted).toEqual({ deleted_keys: [...keys, 'd', 'e'] });
    expect((await store.listKeys()).map(({ id }) => id)).toEqual([kept['key_id']]);
  });

  it('deletes no key if one is unknown', async () => {
    const { call, post, store } = await openAdmin();
    const { key } = await post('/key/generate');
    expect((await call('/key/delete', { body: { keys: [key, UNKNOWN_KEY] } })).status).toBe(404);
    expect((await call('/key/delete', { body: { keys: [key], key_aliases: ['x'] } })).status).toBe(404);
    expect((await store.listKeys()).length).toBe(1);
  });

  it('leaves nobody under a deleted alias, not even a rotated key in its grace time', async () => {
    const admin = await openAdmin();
    const { key } = await admin.post('/key/generate', { key_alias: 'a' });
    await admin.post('/key/regenerate', { key, grace_period: '1h' });
    expect(await stateOf(admin, key)).toBe('ending');
    await admin.post('/key/delete', { key_aliases: ['a'] });
    expect([await stateOf(admin, key), await admin.store.listKeys()]).toEqual([undefined, []]);
  });

  it.each([{}, { keys: [] }, { keys: null, key_aliases: [] }])(
    'asks for at least one key to delete, not %j',
    async (body) => {
      const { call } = await openAdmin();
      expect((await call('/key/delete', { body })).json['error']).toMatchObject({ code: '400', param: 'keys' });
    },
  );
});

describe('a key that was rotated and still works', () => {
  it('is changed with its successor by their alias', async () => {
    const { admin, key, fresh } = await rotated();
    const updated = await admin.post('/key/update', { key_alias: 'a', models: ['x*'], blocked: true });
    expect(updated['token']).toBe(hashKey(fresh));
    expect(updated).not.toHaveProperty('still_working');
    for (const each of [key, fresh]) {
      expect(await admin.store.findKeyBySha256(hashKey(each))).toMatchObject({ policy: { models: ['x*'] } });
      expect(await stateOf(admin, each)).toBe('blocked');
    }
  });

  it('is named if its successor alone was meant', async () => {
    const { admin, key, oldId, fresh } = await rotated();
    expect(await admin.post('/key/update', { key: fresh, models: ['x*'] })).toMatchObject({ still_working: [oldId] });
    const again = await admin.post('/key/regenerate', { key: fresh });
    expect(again).toMatchObject({ still_working: [oldId] });
    expect(await admin.post('/key/block', { key: again['key'] })).toMatchObject({ still_working: [oldId] });
    expect(await stateOf(admin, key)).toBe('ending');
    expect(await admin.post('/key/block', { key })).not.toHaveProperty('still_working');
  });

  it('is named if its successor is deleted without it', async () => {
    const { admin, key, oldId, fresh } = await rotated();
    const { key: other } = await admin.post('/key/generate', { key_alias: 'b' });
    const deleted = await admin.post('/key/delete', { keys: [fresh, other] });
    expect(deleted).toEqual({ deleted_keys: [fresh, other], still_working: [oldId] });
    expect(await admin.post('/key/delete', { keys: [key] })).toEqual({ deleted_keys: [key] });
  });

  it('is not named if it is deleted with its successor, or is blocked', async () => {
    const { admin, key, fresh } = await rotated();
    await admin.post('/key/block', { key });
    expect(await admin.post('/key/delete', { keys: [fresh] })).not.toHaveProperty('still_working');
    const both = await rotated();
    const keys = [both.fresh, both.key];
    expect(await both.admin.post('/key/delete', { keys })).toEqual({ deleted_keys: keys });
  });
});

describe('POST /key/{key}/regenerate', () => {
  it.each(['key', 'token', 'key_id'])('puts a new key in the place of one named by its %s', async (name) => {
    const admin = await openAdmin();
    const old = await admin.post('/key/generate', { key_alias: 'a', rpm_limit: 5, tags: ['x'], metadata: { m: 1 } });
    const fresh = await admin.post(`/key/${old[name]}/regenerate`, { tpm_limit: 6 });
    expect(fresh).toMatchObject({ key_alias: 'a', rpm_limit: 5, tpm_limit: 6, tags: ['x'], metadata: { m: 1 } });
    expect([await stateOf(admin, old['key']), await stateOf(admin, fresh['key'])]).toEqual(['revoked', 'active']);
    expect((await admin.call('/key/update', { body: { key: old['key'], rpm_limit: 1 } })).status).toBe(404);
    const { json } = await admin.call('/key/list');
    expect(json).toMatchObject({ keys: [fresh['token']] });
  });

  it('lets the old key of a rotation live for its grace time', async () => {
    const admin = await openAdmin();
    const { key } = await admin.post('/key/generate');
    await admin.post('/key/regenerate', { key, grace_period: '10m' });
    admin.wait(599_999);
    expect(await stateOf(admin, key)).toBe('ending');
    admin.wait(1);
    expect(await stateOf(admin, key)).toBe('revoked');
  });

  it.each([
    { body: { grace_period: 'soon' }, param: 'grace_period' },
    { body: { grace_period: '91d' }, param: 'grace_period' },
    { body: { new_key: 'sk-mine' }, param: 'new_key' },
    { body: { key: 'sk-another' }, param: 'key' },
    { body: { max_budget: -1 }, param: 'max_budget' },
  ])('refuses to rotate with $body and leaves the key alone', async ({ body, param }) => {
    const admin = await openAdmin();
    const { key } = await admin.post('/key/generate');
    const { status, json } = await admin.call(`/key/${key}/regenerate`, { body });
    expect([status, json['error'].param, await stateOf(admin, key)]).toEqual([400, param, 'active']);
  });

  it('does not unblock a key by a rotation', async () => {
    const admin = await openAdmin();
    const { key } = await admin.post('/key/generate', { blocked: true });
    expect((await admin.call(`/key/${key}/regenerate`, { body: {} })).status).toBe(400);
    expect((await admin.store.listKeys()).length).toBe(1);
  });
});
