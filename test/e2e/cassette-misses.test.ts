/** Requests that have no recording, and tests that run in parallel, through the whole proxy. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { converse, recording, say } from '../cassette/requests.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const MASTER_KEY = 'sk-master-of-the-cassettes';
const TESTS = ['one', 'two', 'three', 'four'];

/** A cassette in which the same conversation goes differently for each test, three turns of the same words. */
async function writeCassette(): Promise<string> {
  const folder = await makeTemporaryFolder();
  for (const name of TESTS.flatMap((test) => [1, 2, 3].map((turn) => `${test}/00${turn}-converse`))) {
    const { recording: exchange } = recording(name, converse(say('And then?')), {
      headers: [['content-type', 'application/json']],
      body: { json: { told: name } },
      bytes: 0,
    });
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(exchange));
  }
  writeFileSync(join(folder, 'cassette.json'), JSON.stringify({ version: 1, match: { repeat: 'never' } }));
  return folder;
}

const flagsOf = (cassette: string): Record<string, string | string[]> => ({
  cassette,
  replaySpeed: 'instant',
  endpointUrl: [],
});

it('gives tests that run in parallel the responses of each, in their order', async () => {
  const cassette = await writeCassette();
  const proxy = await openProxy({ flags: flagsOf(cassette) });
  const { key } = await proxy.mint();
  const { path, body } = converse(say('And then?'));
  const tell = async (test: string): Promise<unknown> => {
    const headers = { authorization: `Bearer ${key}`, 'x-bedrock-proxy-cassette': test };
    const response = await fetch(`${proxy.url}${path}`, { method: 'POST', headers, body: Buffer.from(body) });
    return ((await response.json()) as { told?: string }).told ?? response.headers.get('x-amzn-errortype');
  };
  const told = await Promise.all(
    TESTS.map(async (test) => [await tell(test), await tell(test), await tell(test), await tell(test)]),
  );
  expect(told).toEqual(
    TESTS.map((test) => [...[1, 2, 3].map((turn) => `${test}/00${turn}-converse`), 'CassetteMissException']),
  );
  expect(await tell('../one')).toBe('ValidationException');
  expect(await tell('none')).toBe('CassetteMissException');
});

it('tells whoever has the master key what is missed and what is left', async () => {
  const cassette = await writeCassette();
  const environment = { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY };
  const proxy = await openProxy({ flags: flagsOf(cassette), environment });
  const { path, body } = converse(say('And then?'));
  const read = async (key: string): Promise<Response> =>
    fetch(new URL('/cassette', proxy.url), { headers: { authorization: `Bearer ${key}` } });
  const { key } = await proxy.mint();
  const headers = { authorization: `Bearer ${key}` };
  const response = await fetch(`${proxy.url}${path}`, { method: 'POST', headers, body: Buffer.from(body) });
  const { message } = (await response.json()) as { message: string };
  expect(message).toContain('its sub-directory four (x-bedrock-proxy-cassette) has one.');
  expect((await read(key)).status).toBe(401);
  const state = (await (await read(MASTER_KEY)).json()) as { unused: string[]; misses: object[] };
  expect(state).toMatchObject({ mode: 'replay', played: 0, missed: 1, misses: [{ message, found_in: 'four' }] });
  expect(state.unused).toHaveLength(12);
});

it('has no such path without a cassette', async () => {
  const proxy = await openProxy({ environment: { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY } });
  const headers = { authorization: `Bearer ${MASTER_KEY}` };
  const response = await fetch(new URL('/cassette', proxy.url), { headers });
  expect([response.status, await response.text()]).toEqual([404, expect.stringContaining('There is no cassette.')]);
});
