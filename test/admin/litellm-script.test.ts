/**
 * Scripts as people wrote them for LiteLLM's key API, with its documentation beside them: they must run here unchanged.
 * One for fetch, one for Python's standard library.
 */
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { hashKey } from '../../src/keys/secret.ts';
import { type Json, ledgerRow, MASTER_KEY, openAdmin } from '../helpers/open-admin.ts';

const PYTHON = findPython();

function findPython(): string | undefined {
  return ['python3', 'python'].find((name) => {
    try {
      return execFileSync(name, ['--version'], { stdio: 'pipe' }).length > 0;
    } catch {
      return false;
    }
  });
}

describe('a script for the key API of LiteLLM', () => {
  it('runs a script for LiteLLM from generate to delete', async () => {
    const { url: LITELLM_URL, store, nowMs } = await openAdmin();
    const headers = { Authorization: `Bearer ${MASTER_KEY}`, 'Content-Type': 'application/json' };
    const post = async (path: string, body: object): Promise<Json> => {
      const response = await fetch(`${LITELLM_URL}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      if (!response.ok) throw new Error(await response.text());
      return (await response.json()) as Json;
    };
    const get = async (path: string): Promise<Json> => {
      const response = await fetch(`${LITELLM_URL}${path}`, { headers });
      if (!response.ok) throw new Error(await response.text());
      return (await response.json()) as Json;
    };

    const generated = await post('/key/generate', {
      models: ['anthropic.claude-haiku-4-5*', 'amazon.nova-*'],
      duration: '30d',
      max_budget: 25.5,
      budget_duration: '7d',
      rpm_limit: 60,
      tpm_limit: 100_000,
      max_parallel_requests: 4,
      key_alias: 'ci',
      user_id: 'ishaan@example.com',
      team_id: 'core-infra',
      tags: ['production', 'cost-center=42'],
      metadata: { user: 'ishaan@example.com', nested: { list: [1, null] } },
      aliases: {},
      config: {},
      permissions: {},
    });
    const { key, token } = generated;
    expect(key).toMatch(/^sk-/);
    expect(token).toBe(hashKey(key));
    expect(generated).toMatchObject({
      key_name: `sk-...${key.slice(-4)}`,
      token_id: token,
      expires: new Date(nowMs() + 30 * 86_400_000).toISOString(),
      user_id: 'ishaan@example.com',
      team_id: 'core-infra',
      max_budget: 25.5,
      budget_duration: '7d',
      budget_timezone: 'UTC',
      budget_reset_at: '2030-01-21T00:00:00.000Z',
      spend: 0,
    });

    const { info } = await get(`/key/info?key=${key}`);
    expect(info.models).toEqual(['anthropic.claude-haiku-4-5*', 'amazon.nova-*']);
    expect(info.metadata).toEqual({ user: 'ishaan@example.com', nested: { list: [1, null] } });
    expect(info.tags).toEqual(['production', 'cost-center=42']);

    const updated = await post('/key/update', { key, max_budget: 50, models: ['amazon.nova-*'], tpm_limit: null });
    expect(updated).toMatchObject({ max_budget: 50, models: ['amazon.nova-*'], tpm_limit: null, rpm_limit: 60 });

    for (let index = 0; index < 12; index += 1) await post('/key/generate', { user_id: 'someone' });
    const first = await get('/key/list');
    expect([first.keys.length, first.total_count, first.current_page, first.total_pages]).toEqual([10, 13, 1, 2]);
    const second = await get('/key/list?page=2&size=10&sort_by=created_at&sort_order=desc');
    expect(second.keys.length).toBe(3);
    expect(second.keys).toContain(token);
    const full = await get('/key/list?key_alias=ci&return_full_object=true&include_team_keys=true');
    expect(full.keys[0]).toMatchObject({ token, key_alias: 'ci', team_id: 'core-infra' });

    expect((await post('/key/block', { key })).blocked).toBe(true);
    expect((await post('/key/unblock', { key: token })).blocked).toBe(false);

    const row = (await store.listKeys()).find(({ alias }) => alias === 'ci');
    const paid = ledgerRow({ keyId: row?.id, tags: row?.tags ?? {}, startedAtMs: nowMs() });
    const budget = row?.policy.budget;
    if (row === undefined || budget === undefined) throw new Error('the key has no budget');
    const held = { id: paid.id, keyId: row.id, amountNanoUsd: 5_000_000, budget, nowMs: nowMs(), ifLost: paid };
    expect(await store.reserve(held)).toEqual({ kind: 'reserved' });
    await store.settle(paid);
    const logs = await get(`/spend/logs?api_key=${key}`);
    expect(logs).toMatchObject([{ api_key: token, spend: 0.001, prompt_tokens: 10, completion_tokens: 20 }]);
    expect((await get(`/key/info?key=${token}`)).info.spend).toBe(0.001);

    const regenerated = await post(`/key/${key}/regenerate`, { grace_period: '24h', max_budget: 10 });
    expect(regenerated.key).not.toBe(key);
    expect(regenerated).toMatchObject({ key_alias: 'ci', max_budget: 10, team_id: 'core-infra', spend: 0.001 });

    const deleted = { deleted_keys: [regenerated.key], still_working: [row.id] };
    expect(await post('/key/delete', { keys: [regenerated.key] })).toEqual(deleted);
    const gone = await fetch(`${LITELLM_URL}/key/info?key=${regenerated.key}`, { headers });
    expect([gone.status, ((await gone.json()) as Json)['error'].type]).toEqual([404, 'token_not_found_in_db']);
  });

  it.skipIf(PYTHON === undefined)('runs a script for LiteLLM in Python, with nothing but urllib', async () => {
    const { url, store } = await openAdmin();
    const { stdout } = await promisify(execFile)(PYTHON ?? 'python3', ['-c', SCRIPT], {
      env: { ...process.env, LITELLM_URL: url, LITELLM_MASTER_KEY: MASTER_KEY },
    });
    expect(stdout.trim()).toBe('all done');
    expect(await store.listKeys()).toEqual([]);
  });
});

const SCRIPT = `
import json, os, urllib.error, urllib.parse, urllib.request

URL, MASTER = os.environ["LITELLM_URL"], os.environ["LITELLM_MASTER_KEY"]

def call(path, body=None, key=MASTER, **params):
    query = "?" + urllib.parse.urlencode(params) if params else ""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path + query, data, {"Authorization": "Bearer " + key, "Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)

made = call("/key/generate", {"duration": "8760h", "models": ["*"], "max_budget": 0.1, "budget_duration": "1mo",
                              "metadata": {"team": "x"}, "tags": ["a"], "team_id": None, "key_alias": "py"})
key = made["key"]
assert made["budget_duration"] == "1mo" and made["budget_reset_at"] == "2030-02-01T00:00:00.000Z"
assert made["models"] == [] and made["max_budget"] == 0.1
assert call("/key/info", key=key)["info"]["key_alias"] == "py"
assert call("/key/update", {"key": key, "rpm_limit": 5})["rpm_limit"] == 5
page = call("/key/list", page=1, size=100, return_full_object="True")
assert [each["token"] for each in page["keys"]] == [made["token"]] and page["total_pages"] == 1
assert call("/key/block", {"key": key})["blocked"] is True
assert call("/key/unblock", {"key": key})["blocked"] is False
again = call("/key/" + made["token"] + "/regenerate", {})
assert call("/spend/logs", start_date="2030-01-01", end_date="2030-01-31") == []
assert call("/global/spend/report", start_date="2030-01-01", end_date="2030-01-31", group_by="team") == []
try:
    call("/key/update", {"key": key, "rpm_limit": 6})
    raise SystemExit("the old key is still there")
except urllib.error.HTTPError as error:
    assert error.code == 404 and json.load(error)["error"]["code"] == "404"
assert call("/key/delete", {"keys": [again["key"], made["token"]]})["deleted_keys"] == [again["key"], made["token"]]
print("all done")
`;
