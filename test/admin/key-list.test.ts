import { describe, expect, it } from 'vitest';
import { cutPage } from '../../src/admin/key-list.ts';
import { type Admin, type Json, ledgerRow, openAdmin } from '../helpers/open-admin.ts';

/** Five keys a second apart, in five states, and one of nobody. */
async function openWithKeys(): Promise<Admin & { readonly tokens: Record<string, string> }> {
  const admin = await openAdmin();
  const tokens: Record<string, string> = {};
  const make = async (name: string, fields: object): Promise<Json> => {
    admin.wait(1_000);
    const made = await admin.post('/key/generate', { key_alias: name, ...fields });
    tokens[name] = made['token'];
    return made;
  };
  await make('Active', { user_id: 'ann-smith', team_id: 'crimson', max_budget: 1 });
  await make('blocked', { user_id: 'bob', team_id: 'crimson', max_budget: 3, blocked: true });
  await make('expired', { user_id: 'ann-smithers', duration: '1s' });
  const old = await make('rotated', { team_id: 'blue', max_budget: 2 });
  admin.wait(1_000);
  tokens['fresh'] = (await admin.post('/key/regenerate', { key: old['key'], grace_period: '1d' }))['token'];
  const gone = await make('gone', {});
  await admin.store.revokeKey(gone['key_id'], admin.nowMs());
  return { ...admin, tokens };
}

async function list(query: string): Promise<string[]> {
  const { call, tokens } = await openWithKeys();
  const { json } = await call(`/key/list?size=100&${query.replace('TOKEN', tokens['blocked'] ?? '')}`);
  const names = new Map(Object.entries(tokens).map(([name, token]) => [token, name]));
  return json['keys'].map((token: string) => names.get(token));
}

describe('GET /key/list', () => {
  it.each([
    { query: '', names: ['fresh', 'rotated', 'expired', 'blocked', 'Active'] },
    { query: 'sort_order=asc', names: ['Active', 'blocked', 'expired', 'rotated', 'fresh'] },
    { query: 'status=active', names: ['fresh', 'Active'] },
    { query: 'status=blocked', names: ['blocked'] },
    { query: 'status=expired', names: ['expired'] },
    { query: 'status=ending', names: ['rotated'] },
    { query: 'status=revoked', names: ['gone'] },
    { query: 'key_alias=Active', names: ['Active'] },
    { query: 'key_alias=active', names: [] },
    { query: 'key_alias=rotated', names: ['fresh', 'rotated'] },
    { query: 'key_alias=ed&substring_matching=true', names: ['fresh', 'rotated', 'expired', 'blocked'] },
    { query: 'user_id=ann-smith', names: ['Active'] },
    { query: 'user_id=ann-smith&substring_matching=1', names: ['expired', 'Active'] },
    { query: 'team_id=crimson', names: ['blocked', 'Active'] },
    { query: 'team_id=crimson&user_id=bob', names: ['blocked'] },
    { query: 'key_hash=TOKEN', names: ['blocked'] },
    { query: 'key_hash=sk-unknown', names: [] },
    { query: 'search=CRIMSON', names: ['blocked', 'Active'] },
    { query: 'search=ann-smith', names: ['expired', 'Active'] },
    { query: 'search=%25', names: [] },
    { query: 'sort_by=max_budget', names: ['blocked', 'fresh', 'rotated', 'Active', 'expired'] },
    { query: 'sort_by=max_budget&sort_order=asc', names: ['Active', 'rotated', 'fresh', 'blocked', 'expired'] },
    { query: 'sort_by=user_id&sort_order=asc', names: ['Active', 'expired', 'blocked', 'rotated', 'fresh'] },
    { query: 'sort_by=key_alias&sort_order=asc', names: ['Active', 'blocked', 'expired', 'rotated', 'fresh'] },
    { query: 'sort_by=expires&sort_order=asc', names: ['expired', 'rotated', 'Active', 'blocked', 'fresh'] },
    { query: 'include_team_keys=true&include_created_by_keys=false&team_id=blue', names: ['fresh', 'rotated'] },
  ])('lists by $query the keys $names', async ({ query, names }) => {
    expect(await list(query)).toEqual(names);
  });

  it('lists objects on request, which show no key', async () => {
    const { call } = await openWithKeys();
    const { json } = await call('/key/list?return_full_object=true&sort_order=asc&size=1');
    expect(json).toMatchObject({ total_count: 5, current_page: 1, total_pages: 5 });
    expect(json['keys']).toMatchObject([{ key_alias: 'Active', max_budget: 1, status: 'active' }]);
    expect(JSON.stringify(json)).not.toMatch(/sk-[\w-]{20}/);
  });

  it('sorts keys by what was spent', async () => {
    const { call, post, store } = await openAdmin();
    const made = [await post('/key/generate'), await post('/key/generate'), await post('/key/generate')];
    const charges = [2, 9, 5];
    for (const [index, { key_id: keyId }] of made.entries()) {
      const chargedNanoUsd = charges[index] ?? 0;
      await store.settle(ledgerRow({ keyId, costNanoUsd: chargedNanoUsd, chargedNanoUsd }));
    }
    const { json } = await call('/key/list?sort_by=spend&return_full_object=true');
    expect(json['keys'].map((key: Json) => key['spend'])).toEqual([9e-9, 5e-9, 2e-9]);
  });
});

describe('a page', () => {
  const rows = Array.from({ length: 21 }, (_, index) => index);

  it.each([
    { query: {}, shown: [0, 10], page: 1, pages: 3 },
    { query: { page: 3 }, shown: [20, 21], page: 3, pages: 3 },
    { query: { page: 4 }, shown: [21, 21], page: 4, pages: 3 },
    { query: { page: 2, size: 7 }, shown: [7, 14], page: 2, pages: 3 },
    { query: { size: 100 }, shown: [0, 21], page: 1, pages: 1 },
  ])('pages through keys by $query', ({ query, shown, page, pages }) => {
    expect(cutPage(rows, query)).toEqual({ rows: rows.slice(...shown), page, pages });
  });

  it('gives an empty page of no keys', () => {
    expect(cutPage([], {})).toEqual({ rows: [], page: 1, pages: 0 });
  });
});
