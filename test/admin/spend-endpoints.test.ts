import { rowToJson } from '../../src/domain/ledger-columns.ts';
import { describe, expect, it } from 'vitest';
import type { LedgerRow } from '../../src/domain/ledger.ts';
import { type Admin, type Json, ledgerRow, openAdmin } from '../helpers/open-admin.ts';

const at = (day: number, hour = 0): number => Date.UTC(2030, 0, day, hour);

interface Ledger extends Admin {
  readonly alice: Json;
  readonly bob: Json;
  readonly rows: readonly LedgerRow[];
}

/** Two keys of two teams and the master, over three days. */
async function openWithLedger(): Promise<Ledger> {
  const admin = await openAdmin();
  const alice = await admin.post('/key/generate', { key_alias: 'alice', user_id: 'a', team_id: 'red', tags: ['x=1'] });
  const bob = await admin.post('/key/generate', { key_alias: 'bob', team_id: 'blue' });
  const ofAlice = { keyId: alice['key_id'], keyLabel: 'alice', tags: { user_id: 'a', team_id: 'red', x: '1' } };
  const ofBob = { keyId: bob['key_id'], keyLabel: 'bob', tags: { team_id: 'blue' } };
  const rows = [
    ledgerRow({ ...ofAlice, startedAtMs: at(10), model: 'haiku', costNanoUsd: 1_000 }),
    ledgerRow({ ...ofAlice, startedAtMs: at(10, 23), model: 'nova', costNanoUsd: 2_000 }),
    ledgerRow({ ...ofBob, startedAtMs: at(11), model: 'haiku', costNanoUsd: 4_000 }),
    ledgerRow({ ...ofBob, startedAtMs: at(11, 1), model: 'odd', pricing: 'unpriced', costNanoUsd: undefined }),
    ledgerRow({ startedAtMs: at(12), model: undefined, pricing: 'free', costNanoUsd: 0, usage: undefined }),
  ];
  for (const row of rows) await admin.store.settle(row);
  return { ...admin, alice, bob, rows };
}

describe('GET /spend/logs', () => {
  it('answers a request as LiteLLM would log it', async () => {
    const { call, alice, store } = await openWithLedger();
    const row = ledgerRow({
      keyId: alice['key_id'],
      keyLabel: 'alice',
      tags: { user_id: 'a', team_id: 'red', x: '1', bare: '' },
      startedAtMs: at(13),
      usage: { inputTokens: 3, outputTokens: 20, cacheReadTokens: 100, cacheWriteTokens: 50 },
      costNanoUsd: 1_234_567,
      chargedNanoUsd: 2_000_000,
      upstreamRequestId: 'aws-1',
      userAgent: 'boto3',
      partial: true,
    });
    await store.settle(row);
    const { json } = await call(`/spend/logs?request_id=${row.id}`);
    expect(json).toEqual([
      {
        request_id: row.id,
        call_type: 'Converse',
        api_key: alice['token'],
        spend: 0.001234567,
        total_tokens: 173,
        prompt_tokens: 153,
        completion_tokens: 20,
        startTime: '2030-01-13T00:00:00.000Z',
        completionStartTime: '2030-01-13T00:00:00.012Z',
        endTime: '2030-01-13T00:00:00.041Z',
        model: 'anthropic.claude-haiku-4-5-20251001-v1:0',
        custom_llm_provider: 'bedrock',
        user: 'a',
        team_id: 'red',
        end_user: '',
        session_id: null,
        cache_hit: 'False',
        request_tags: ['x=1', 'bare'],
        status: 'success',
        metadata: {
          sequence: expect.any(Number),
          user_api_key_alias: 'alice',
          ...rowToJson(row),
          cache_write_tokens: 50,
          charged_nano_usd: 2_000_000,
          cost_usd: '0.001234567',
          error: null,
          key: 'alice',
          status: 200,
          user_agent: 'boto3',
        },
      },
    ]);
  });

  it('answers null, never 0, for what is not known', async () => {
    const { call, store } = await openWithLedger();
    const unknown = { usage: undefined, pricing: 'unpriced', costNanoUsd: undefined } as const;
    const row = ledgerRow({ ...unknown, status: undefined, firstByteMs: undefined, totalMs: undefined });
    await store.settle(row);
    const { json } = await call(`/spend/logs?request_id=${row.id}`);
    expect(json).toMatchObject([
      {
        api_key: 'master',
        spend: null,
        total_tokens: null,
        prompt_tokens: null,
        completion_tokens: null,
        completionStartTime: null,
        endTime: null,
        user: '',
        status: 'failure',
      },
    ]);
  });

  it.each<{ query: string; found: readonly number[] }>([
    { query: '', found: [4, 3, 2, 1, 0] },
    { query: 'limit=2', found: [4, 3] },
    { query: 'user_id=a', found: [1, 0] },
    { query: 'user_id=nobody', found: [] },
    { query: 'api_key=ALICE', found: [1, 0] },
    { query: 'api_key=ALICE&user_id=b', found: [] },
    { query: 'start_date=2030-01-11', found: [4, 3, 2] },
    { query: 'end_date=2030-01-10', found: [1, 0] },
    { query: 'start_date=2030-01-10&end_date=2030-01-11&summarize=false', found: [3, 2, 1, 0] },
    { query: 'start_date=2030-01-10T12:00:00Z&end_date=2030-01-11T00:30:00Z&summarize=False', found: [2, 1] },
    { query: 'request_id=nothing', found: [] },
  ])('answers $query with the rows $found', async ({ query, found }) => {
    const { call, rows, alice } = await openWithLedger();
    for (const name of ['key', 'token', 'key_id']) {
      const { json } = await call(`/spend/logs?${query.replace('ALICE', alice[name])}`);
      expect(json.map((row: Json) => row['request_id'])).toEqual(found.map((index) => rows[index]?.id));
    }
  });

  it('goes on where the last page of spend ended', async () => {
    const { call, rows } = await openWithLedger();
    const seen: string[] = [];
    let before = '';
    for (let page = 0; page < 3; page += 1) {
      const { json } = await call(`/spend/logs?limit=2&before=${before}`);
      seen.push(...json.map((row: Json) => row['request_id']));
      before = String(json.at(-1)?.metadata.sequence);
    }
    expect(seen).toEqual(rows.map(({ id }) => id).toReversed());
  });

  it('sums spend by day between two dates, with a member for each key', async () => {
    const { call, alice, bob } = await openWithLedger();
    const { json } = await call('/spend/logs?start_date=2030-01-10&end_date=2030-01-31');
    expect(json).toEqual([
      {
        startTime: '2030-01-10',
        spend: 3e-6,
        [alice['token']]: 3e-6,
        users: { a: 3e-6 },
        models: { haiku: 1e-6, nova: 2e-6 },
      },
      {
        startTime: '2030-01-11',
        spend: 4e-6,
        unpriced_requests: 1,
        [bob['token']]: 4e-6,
        users: {},
        models: { haiku: 4e-6, odd: null },
      },
      { startTime: '2030-01-12', spend: 0, master: 0, users: {}, models: {} },
    ]);
    const ofAlice = await call(`/spend/logs?start_date=2030-01-11&end_date=2030-01-31&api_key=${alice['key']}`);
    expect(ofAlice.json).toEqual([]);
  });

  it('keeps what a deleted key spent, under its id', async () => {
    const { call, post, alice } = await openWithLedger();
    await post('/key/delete', { keys: [alice['key']] });
    const { json } = await call(`/spend/logs?api_key=${alice['key_id']}`);
    expect(json.map((row: Json) => row['api_key'])).toEqual([alice['key_id'], alice['key_id']]);
    expect((await call(`/spend/logs?api_key=${alice['key']}`)).status).toBe(404);
  });

  it.each([
    { query: 'start_date=yesterday', param: 'start_date' },
    { query: 'end_date=2030-02-30', param: 'end_date' },
    { query: 'start_date=2030-01-11&end_date=2030-01-10', param: 'end_date' },
    { query: 'start_date=2028-01-01&end_date=2030-01-10', param: 'end_date' },
    { query: 'limit=1001', param: 'limit' },
    { query: 'page=2', param: 'page' },
  ])('refuses $query for spend logs and names $param', async ({ query, param }) => {
    const { call } = await openAdmin();
    const { status, json } = await call(`/spend/logs?${query}`);
    expect([status, json['error'].param]).toEqual([400, param]);
  });

  it('reads spend beyond one page of the ledger', async () => {
    const { call, store } = await openAdmin();
    for (let index = 0; index < 1_203; index += 1) {
      await store.settle(
        ledgerRow({ startedAtMs: at(10), costNanoUsd: 1, tags: index % 600 === 1 ? { user_id: 'r' } : {} }),
      );
    }
    const sums = await call('/spend/logs?start_date=2030-01-10&end_date=2030-01-10');
    expect(sums.json).toMatchObject([{ spend: 1.203e-6, users: { r: 3e-9 } }]);
    expect((await call('/spend/logs?user_id=r&limit=5')).json.length).toBe(3);
  });
});

describe('GET /global/spend/report', () => {
  it('sums spend by day and team', async () => {
    const { call, alice, bob } = await openWithLedger();
    const { json } = await call('/global/spend/report?start_date=2030-01-01&end_date=2030-01-31');
    expect(json).toEqual([
      {
        group_by_day: '2030-01-10T00:00:00+00:00',
        teams: [
          {
            team_name: 'red',
            total_spend: 3e-6,
            metadata: [
              { model: 'nova', api_key: alice['token'], spend: 2e-6, total_tokens: 30 },
              { model: 'haiku', api_key: alice['token'], spend: 1e-6, total_tokens: 30 },
            ],
          },
        ],
      },
      {
        group_by_day: '2030-01-11T00:00:00+00:00',
        teams: [
          {
            team_name: 'blue',
            total_spend: 4e-6,
            unpriced_requests: 1,
            metadata: [
              { model: 'haiku', api_key: bob['token'], spend: 4e-6, total_tokens: 30 },
              { model: 'odd', api_key: bob['token'], spend: null, total_tokens: 30 },
            ],
          },
        ],
      },
      {
        group_by_day: '2030-01-12T00:00:00+00:00',
        teams: [
          {
            team_name: 'Unassigned Team',
            total_spend: 0,
            metadata: [{ model: null, api_key: 'master', spend: 0, total_tokens: null }],
          },
        ],
      },
    ]);
  });

  it.each([
    { query: 'group_by=api_key', keys: ['bob', 'alice', 'master'] },
    { query: 'internal_user_id=a', keys: ['alice'] },
    { query: 'api_key=ALICE', keys: ['alice'] },
    { query: 'group_by=api_key&team_id=blue', keys: ['bob'] },
  ])('sums spend by key and model with $query', async ({ query, keys }) => {
    const { call, alice, bob } = await openWithLedger();
    const path = `/global/spend/report?start_date=2030-01-01&end_date=2030-01-31&${query}`;
    const { json } = await call(path.replace('ALICE', alice['key']));
    const names = new Map([
      [alice['token'], 'alice'],
      [bob['token'], 'bob'],
    ]);
    expect(json.map((entry: Json) => names.get(entry['api_key']) ?? entry['api_key'])).toEqual(keys);
    const ofAlice = json.find((entry: Json) => entry['api_key'] === alice['token']);
    if (keys.includes('alice')) {
      expect(ofAlice).toMatchObject({ total_cost: 3e-6, total_input_tokens: 20, total_output_tokens: 40 });
      expect(ofAlice.model_details).toEqual([
        { model: 'nova', total_cost: 2e-6, total_input_tokens: 10, total_output_tokens: 20 },
        { model: 'haiku', total_cost: 1e-6, total_input_tokens: 10, total_output_tokens: 20 },
      ]);
    }
  });

  it.each([
    { query: 'start_date=2030-01-01', param: 'end_date' },
    { query: 'start_date=2030-01-01&end_date=2030-01-02&group_by=customer', param: 'group_by' },
    { query: 'start_date=2030-01-01&end_date=2030-01-02&customer_id=x', param: 'customer_id' },
  ])('refuses $query for a report and names $param', async ({ query, param }) => {
    const { call } = await openAdmin();
    const { status, json } = await call(`/global/spend/report?${query}`);
    expect([status, json['error'].param]).toEqual([400, param]);
  });
});

describe('GET /global/spend', () => {
  it('sums spend of the last 30 days, and says how much it does not know', async () => {
    const { call, store, nowMs } = await openWithLedger();
    await store.settle(ledgerRow({ startedAtMs: nowMs() - 31 * 86_400_000, costNanoUsd: 1e9 }));
    expect((await call('/global/spend')).json).toEqual({ spend: 7e-6, max_budget: null, unpriced_requests: 1 });
  });

  it('lists spend of keys and of models with the most expensive first', async () => {
    const { call, alice, bob } = await openWithLedger();
    expect((await call('/global/spend/keys?limit=2')).json).toEqual([
      {
        api_key: bob['token'],
        key_alias: 'bob',
        key_name: bob['key_name'],
        total_spend: 4e-6,
        unpriced_requests: 1,
      },
      { api_key: alice['token'], key_alias: 'alice', key_name: alice['key_name'], total_spend: 3e-6 },
    ]);
    const { json } = await call('/global/spend/models');
    expect(json.slice(0, 2)).toEqual([
      { model: 'haiku', total_spend: 5e-6 },
      { model: 'nova', total_spend: 2e-6 },
    ]);
    expect(json.slice(2)).toEqual([{ model: 'odd', total_spend: null, unpriced_requests: 1 }]);
  });

  it('answers 0 for the spend of nothing', async () => {
    const { call } = await openAdmin();
    expect((await call('/global/spend')).json).toEqual({ spend: 0, max_budget: null });
    expect((await call('/global/spend/keys')).json).toEqual([]);
    expect((await call('/global/spend/models')).json).toEqual([]);
  });
});
