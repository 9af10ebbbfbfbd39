/**
 * The smaller endpoints that clients of LiteLLM call: is a key good, which names are there, several changes at once.
 */
import { describe, expect, it } from 'vitest';
import { type Json, ledgerRow, openAdmin } from '../helpers/open-admin.ts';

describe('POST /key/health', () => {
  it('says that a good key is good, to that key and to the master', async () => {
    const { call, post } = await openAdmin();
    const { key } = await post('/key/generate');
    const healthy = { key: 'healthy', logging_callbacks: null };
    expect(await post('/key/health')).toEqual(healthy);
    const headers = { authorization: `Bearer ${key}` };
    expect((await call('/key/health', { headers, body: {} })).json).toEqual(healthy);
    await post('/key/block', { key });
    expect((await call('/key/health', { headers, body: {} })).status).toBe(401);
  });
});

describe('GET /key/aliases', () => {
  it('lists each alias of keys that are not revoked once, page by page', async () => {
    const { call, post } = await openAdmin();
    for (const key_alias of ['beta', 'alpha', 'gamma']) await post('/key/generate', { key_alias, team_id: 'x' });
    await post('/key/generate');
    const rotated = await post('/key/generate', { key_alias: 'delta' });
    await post('/key/regenerate', { key: rotated['key'], grace_period: '1h' });
    const { json } = await call('/key/aliases');
    expect(json).toEqual({
      aliases: ['alpha', 'beta', 'delta', 'gamma'],
      total_count: 4,
      current_page: 1,
      total_pages: 1,
      size: 50,
    });
    const second = await call('/key/aliases?page=2&size=3');
    expect(second.json).toMatchObject({ aliases: ['gamma'], total_count: 4, current_page: 2, total_pages: 2 });
    expect((await call('/key/aliases?search=ETA')).json['aliases']).toEqual(['beta']);
    expect((await call('/key/aliases?team_id=x')).json['total_count']).toBe(3);
  });
});

describe('POST /key/bulk_update', () => {
  it('changes the keys that it can, and says of the others why not', async () => {
    const { call, post } = await openAdmin();
    const [one, two] = [await post('/key/generate'), await post('/key/generate', { key_alias: 'two' })];
    const told = await post('/key/bulk_update', {
      keys: [
        { key: one['key'], max_budget: 5, tags: ['a'], budget_id: null },
        { key: one['key'], soft_budget: 1 },
        { key: 'sk-nobody-has-this-key-0123456789abcdefghijklmno', max_budget: 5 },
        { max_budget: 5 },
        { key_alias: 'two', team_id: 't' },
      ],
    });
    expect(told['total_requested']).toBe(5);
    const done = told['successful_updates'] as Json[];
    expect(done.map(({ key }) => String(key))).toEqual([one['key'], 'two']);
    expect(done[0]?.['key_info']).toMatchObject({ token: one['token'], max_budget: 5, tags: ['a'] });
    const failed = told['failed_updates'] as Json[];
    expect(failed.map(({ failed_reason: reason }) => String(reason))).toEqual([
      expect.stringContaining('does not support these fields: soft_budget'),
      expect.stringContaining('There is no key'),
      expect.stringContaining('has to name a key'),
    ]);
    expect((await call(`/key/info?key=${two['token']}`)).json['info'].team_id).toBe('t');
  });

  it.each([{ keys: [] }, { keys: Array.from({ length: 501 }, () => ({})) }, {}, { keys: ['x'] }])(
    'refuses a list that is none, or too long',
    async (body) => {
      const { call } = await openAdmin();
      expect((await call('/key/bulk_update', { body })).status).toBe(400);
    },
  );
});

const DAY_MS = 86_400_000;

/** Three keys' worth of rows over two days: two priced, one unpriced, one refused. */
async function withRows() {
  const admin = await openAdmin();
  const { key, key_id: keyId, token } = await admin.post('/key/generate', { key_alias: 'a', user_id: 'u' });
  const at = Date.UTC(2030, 0, 15, 11);
  const rows = [
    ledgerRow({
      keyId,
      tags: { user_id: 'u', red: '', repo: 'web' },
      startedAtMs: at - DAY_MS,
      costNanoUsd: 2_000_000,
    }),
    ledgerRow({ keyId, tags: { user_id: 'u', repo: 'web' }, startedAtMs: at, status: 403, errorCode: 'ERR_SCOPE' }),
    ledgerRow({ startedAtMs: at + 1, pricing: 'unpriced', costNanoUsd: undefined, tags: { blue: '' }, model: 'm' }),
  ];
  for (const row of rows) await admin.store.settle(row);
  return { ...admin, key: String(key), token: String(token), ids: rows.map(({ id }) => id) };
}

describe('sums of the ledger', () => {
  it('shows what was spent by tag', async () => {
    const { call } = await withRows();
    expect((await call('/spend/tags')).json).toEqual([
      { individual_request_tag: 'repo=web', log_count: 2, total_spend: 0.003 },
      { individual_request_tag: 'red', log_count: 1, total_spend: 0.002 },
      { individual_request_tag: 'blue', log_count: 1, total_spend: null, unpriced_requests: 1 },
    ]);
    expect((await call('/spend/tags?start_date=2030-01-15&end_date=2030-01-15')).json).toHaveLength(2);
  });

  it('shows the same in the shape of /global, of some tags or all, and no more than 30 days back', async () => {
    const { call, store } = await withRows();
    await store.settle(ledgerRow({ startedAtMs: Date.UTC(2029, 11, 1), tags: { old: '' } }));
    const { json } = await call('/global/spend/tags');
    expect(json['spend_per_tag']).toEqual([
      { name: 'repo=web', spend: 0.003, log_count: 2 },
      { name: 'red', spend: 0.002, log_count: 1 },
      { name: 'blue', spend: null, log_count: 1, unpriced_requests: 1 },
    ]);
    const some = await call('/global/spend/tags?tags=red,blue,none&start_date=2029-12-01&end_date=2030-01-15');
    expect((some.json['spend_per_tag'] as Json[]).map(({ name }) => String(name))).toEqual(['red', 'blue']);
  });

  it('shows requests and tokens by day', async () => {
    const { call } = await withRows();
    const { json } = await call('/global/activity?start_date=2030-01-14&end_date=2030-01-15');
    expect(json).toEqual({
      daily_data: [
        { date: '2030-01-14', api_requests: 1, total_tokens: 30 },
        { date: '2030-01-15', api_requests: 2, total_tokens: 60 },
      ],
      sum_api_requests: 3,
      sum_total_tokens: 90,
    });
    const empty = await call('/global/activity?start_date=2028-01-14&end_date=2028-01-15');
    expect(empty.json).toEqual({ daily_data: [], sum_api_requests: 0, sum_total_tokens: null });
  });

  it('lists keys, those first that spent most', async () => {
    const { call, post, token } = await withRows();
    await post('/key/generate', { key_alias: 'b' });
    const { json } = await call('/spend/keys');
    expect((json as unknown as Json[]).map((row) => [row['key_alias'], row['spend']])).toEqual([
      ['a', 0.002],
      ['b', 0],
    ]);
    expect((await call('/spend/keys?limit=1')).json).toMatchObject([{ token }]);
  });
});

describe('GET /spend/logs/v2', () => {
  it('shows requests page by page, with how many there are', async () => {
    const { call, ids } = await withRows();
    const { json } = await call('/spend/logs/v2?page=1&page_size=2');
    expect(json).toMatchObject({ total: 3, total_is_capped: false, page: 1, page_size: 2, total_pages: 2 });
    expect(idsOf(json)).toEqual([ids[2], ids[1]]);
    expect(idsOf((await call('/spend/logs/v2?page=2&page_size=2')).json)).toEqual([ids[0]]);
    expect(idsOf((await call('/spend/logs/v2?page=3&page_size=2')).json)).toEqual([]);
    expect(idsOf((await call('/spend/logs/v2?sort_by=startTime&sort_order=asc&page_size=1')).json)).toEqual([ids[0]]);
  });

  it.each([
    { query: 'start_date=2030-01-15+00:00:00&end_date=2030-01-15+23:59:59', at: [2, 1] },
    { query: 'start_date=2030-01-15%2000:00:00', at: [2, 1] },
    { query: 'start_date=2030-01-15T11:00', at: [2, 1] },
    { query: 'end_date=2030-01-14+11:00:00', at: [0] },
    { query: 'end_date=2030-01-14', at: [0] },
    { query: 'key_alias=a', at: [1, 0] },
    { query: 'key_alias=nobody', at: [] },
    { query: 'user_id=u&status_filter=success', at: [0] },
    { query: 'status_filter=failure', at: [1] },
    { query: 'model=m', at: [2] },
    { query: 'user_id=nobody', at: [] },
  ])('keeps those that $query asks for', async ({ query, at }) => {
    const { call, ids } = await withRows();
    const { json } = await call(`/spend/logs/v2?${query}`);
    expect(idsOf(json)).toEqual(at.map((place) => ids[place]));
    expect(json['total']).toBe(at.length);
  });

  it('keeps those of a key, and the one of an id', async () => {
    const { call, key, token, ids } = await withRows();
    for (const named of [key, token]) {
      expect(idsOf((await call(`/spend/logs/v2?api_key=${named}`)).json)).toEqual([ids[1], ids[0]]);
    }
    expect(idsOf((await call(`/spend/logs/v2?request_id=${ids[0]}`)).json)).toEqual([ids[0]]);
  });

  it('reads more rows than a piece has, and no more than it can count', async () => {
    const { call, store } = await openAdmin();
    const rows = Array.from({ length: 10_001 }, (_, at) => ledgerRow({ startedAtMs: Date.UTC(2030, 0, 1) + at }));
    await store.settleAll(rows);
    const { json } = await call('/spend/logs/v2?page=100&page_size=100');
    expect(json).toMatchObject({ total: 10_000, total_is_capped: true, total_pages: 100 });
    expect(idsOf(json).at(-1)).toBe(rows[1]?.id);
    const beyond = await call('/spend/logs/v2?page=101&page_size=100');
    expect([beyond.status, beyond.json['error'].param]).toEqual([400, 'page']);
  });

  it.each(['start_date=2030-01-32+00:00:00', 'start_date=15.1.2030', 'sort_by=spend', 'page=0', 'page_size=1001'])(
    'refuses %s',
    async (query) => {
      const { call } = await openAdmin();
      expect((await call(`/spend/logs/v2?${query}`)).status).toBe(400);
    },
  );
});

function idsOf(json: Json): string[] {
  return (json['data'] as Json[]).map(({ request_id: id }) => String(id));
}
