/** One database, many processes: whoever comes first makes it, and nobody's key is lost. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AWS_VARIABLES, launchServer, openWorkplace, run, type Workplace } from '../helpers/program.ts';
import { ask } from '../helpers/raw-socket.ts';

let place: Workplace;

beforeEach(async () => {
  place = await openWorkplace();
});

afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

/** Makes 50 keys with the built program's own parts, and prints them. */
const GENERATE = `
  const [databasePath, source] = process.argv.slice(1);
  const { openSqliteStore } = await import(source + 'store/sqlite/store.ts');
  const { mintKey } = await import(source + 'keys/mint.ts');
  const { findServerSecret } = await import(source + 'keys/server-secret.ts');
  const { randomBytes } = await import('node:crypto');
  const store = await openSqliteStore(databasePath);
  const { locateFile } = await import(source + 'config/database-location.ts');
  const serverSecret = findServerSecret(locateFile(databasePath), undefined);
  for (let count = 0; count < 50; count += 1) {
    const { key } = await mintKey({ store, serverSecret, alias: undefined, nowMs: Date.now(), randomBytes });
    console.log(key);
  }
  await store.close();
`;

async function generateFifty(): Promise<string[]> {
  const source = pathToFileURL(join(import.meta.dirname, '../../src/')).href;
  const args = ['--input-type=module', '-e', GENERATE, place.databasePath, source];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(code).toBe(0);
  return output.trim().split('\n');
}

it('makes a hundred keys by two processes that make fifty each on a fresh database at once', async () => {
  const keys = (await Promise.all([generateFifty(), generateFifty()])).flat();
  expect(new Set(keys).size).toBe(100);
  const { stdout } = await run(['key', 'list', '--json'], place.environment);
  expect(JSON.parse(stdout)).toHaveLength(100);
  await using server = await launchServer([], {
    ...place.environment,
    ...AWS_VARIABLES,
    BEDROCK_PROXY_ENDPOINT_URL: 'http://127.0.0.1:9',
  });
  for (const key of [keys[0], keys[99]]) {
    const headers = ['Host: localhost', `Authorization: Bearer ${key}`];
    expect((await ask(server.port, 'POST /bedrock/model/a/invoke HTTP/1.1', headers)).status).toBe(502);
  }
});
