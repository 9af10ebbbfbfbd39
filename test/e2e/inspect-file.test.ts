/**
 * What --inspect-db keeps, from a request to its exports: the file, `inspect export`, `inspect open`,
 * `cassette import`, `inspect clear`.
 * @module-tag slow
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Cli, openCli } from '../helpers/cli.ts';

const PROMPT = 'CANARY where is the bug';
const SECRET = 'sk-CANARYsecret0123456789abcdef';

/** A proxy that keeps what it serves in a file. */
async function startKeeping() {
  const cli = await openCli();
  const db = join(cli.home, 'exchanges.db');
  const proxy = cli.spawn(['start', '--offline', '--port', '0', '--inspect-db', db, '--json']);
  const [, port = ''] = await proxy.waitFor('stdout', /"port":(\d+)/);
  const end = async (): Promise<void> => {
    proxy.child.kill('SIGTERM');
    await proxy.ended;
  };
  return { ...cli, db, port, end };
}

/** The file of one that has served two requests; it has ended, unless `goesOn`. */
async function openKept({ goesOn = false } = {}): Promise<Cli & { readonly db: string }> {
  const { port, end, ...kept } = await startKeeping();
  for (const operation of ['converse', 'converse-stream']) {
    const response = await fetch(`http://127.0.0.1:${port}/bedrock/model/amazon.nova-lite-v1:0/${operation}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': SECRET },
      body: JSON.stringify({ messages: [{ role: 'user', content: [{ text: PROMPT }] }] }),
    });
    expect(response.status).toBe(200);
    await response.arrayBuffer();
  }
  if (goesOn) await waitUntil(() => filesOf(kept.db).includes('converse-stream'));
  else await end();
  return kept;
}

async function waitUntil(isTrue: () => boolean): Promise<void> {
  for (const endMs = Date.now() + 10_000; !isTrue() && Date.now() < endMs;)
    await new Promise((resolve) => setTimeout(resolve, 50));
}

function filesOf(db: string): string {
  const paths = [db, `${db}-wal`].filter((path) => existsSync(path));
  return paths.map((path) => readFileSync(path, 'latin1')).join('');
}

describe('exchanges in a file', () => {
  it('are exported in every format, sanitized, and none has a key in it', async () => {
    const { run, home, db } = await openKept();
    expect(statSync(db).mode & 0o777).toBe(0o600);
    expect(filesOf(db)).not.toContain(SECRET);
    for (const format of ['ndjson', 'har', 'html']) {
      const output = join(home, `out.${format}`);
      const { code, stderr } = await run(['inspect', 'export', '--inspect-db', db, '-o', output]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('2 exchanges in') });
      const text = readFileSync(output, 'utf8');
      expect(text).not.toContain('CANARY');
      expect(text).toContain('nova-lite');
      expect(statSync(output).mode & 0o777).toBe(0o600);
    }
    const again = await run(['inspect', 'export', db, '-o', join(home, 'out.har')]);
    expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining('is there already') });
  }, 30_000);

  it('are exported with prompts only if that is typed, and then make a cassette', async () => {
    const { run, home, db } = await openKept();
    const output = join(home, 'all.ndjson');
    const refused = await run(['inspect', 'export', db, '--unsanitized', '-o', output]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('Give --confirm "contains prompts".') });
    const confirm = ['--unsanitized', '--confirm', 'contains prompts'];
    expect((await run(['inspect', 'export', db, ...confirm, '-o', output])).code).toBe(0);
    expect(existsSync(output)).toBe(false);
    const written = join(home, 'all-contains-prompts.ndjson');
    expect(readFileSync(written, 'utf8')).toContain(PROMPT);
    expect(readFileSync(written, 'utf8')).not.toContain(SECRET);
    const cassette = join(home, 'cassette');
    expect(await run(['cassette', 'import', cassette, written])).toMatchObject({ code: 0, stdout: '2 imported\n' });
    expect(readdirSync(cassette).filter((name) => name.includes('nova-lite'))).toHaveLength(2);
  }, 30_000);

  it('are exported to standard output, only those that match', async () => {
    const { run, db } = await openKept();
    const args = ['inspect', 'export', '-o', '-', '--filter', 'op:ConverseStream'];
    const { stdout } = await run(args, { BEDROCK_PROXY_INSPECT_DB: db });
    const [head, ...lines] = stdout.trim().split('\n');
    expect(JSON.parse(head ?? '')).toMatchObject({ format: 'bedrock-proxy-exchanges', sanitized: true });
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([{ row: { operation: 'ConverseStream' } }]);
    const none = await run(['inspect', 'export', db, '--filter', 'status:500']);
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no exchange to export.') });
    const wrong = await run(['inspect', 'export', db, '--filter', 'stauts:500']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('stauts') });
  }, 30_000);

  it.each([{ name: 'the file itself' }, { name: 'an export of it' }])(
    'are looked at on a page: $name',
    async ({ name }) => {
      const { run, spawn, home, db } = await openKept();
      const exported = join(home, 'out.ndjson');
      await run(['inspect', 'export', db, '-o', exported]);
      const opened = spawn(['inspect', 'open', name === 'the file itself' ? db : exported]);
      const [, url = '', token = ''] = await opened.waitFor(
        'stdout',
        /(http:\/\/127\.0\.0\.1:\d+)\/inspect\/#t=([\w-]+)\n/,
      );
      const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
        fetch(`${url}/inspect/${path}`, {
          ...init,
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        });
      expect((await fetch(`${url}/inspect/`)).status).toBe(200);
      expect((await fetch(`${url}/inspect/api/v1/exchanges`)).status).toBe(401);
      const list = (await (await ask('api/v1/exchanges')).json()) as { items: { id: string }[] };
      expect(list.items).toHaveLength(2);
      const [{ id } = { id: '' }] = list.items;
      expect((await ask(`api/v1/exchanges/${id}/frames`)).status).toBe(200);
      expect(await (await ask('api/v1/state')).json()).toMatchObject({
        kept: 'opened',
        exchanges: 2,
        is_capturing: false,
        may_replay: false,
      });
      expect((await ask(`api/v1/exchanges/${id}`, { method: 'PATCH', body: '{"pinned":true}' })).status).toBe(400);
      expect(await (await ask('api/v1/exchanges', { method: 'DELETE', body: '{}' })).json()).toEqual({ removed: 0 });
      opened.child.kill('SIGINT');
      expect((await opened.ended).code).toBe(0);
    },
    30_000,
  );

  it('are deleted while the proxy goes on, and nothing of them stays on the disk', async () => {
    const { run, db } = await openKept({ goesOn: true });
    const { code, stdout } = await run(['inspect', 'clear', '--inspect-db', db, '--json']);
    expect({ code, stdout: JSON.parse(stdout) as unknown }).toEqual({ code: 0, stdout: { removed: 2, kept: 0 } });
    expect(filesOf(db)).not.toContain('nova-lite');
  }, 30_000);

  it('says what is wrong with a file', async () => {
    const { run, home } = await openCli();
    const missing = await run(['inspect', 'clear', '--inspect-db', join(home, 'none.db')]);
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('There is no file of exchanges at') });
    expect(await run(['inspect', 'export'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--inspect-db'),
    });
    expect(await run(['inspect', 'open', join(home, 'none.ndjson')])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('cannot be read (ENOENT)'),
    });
  });
});

it('keeps what a large request says, although its parts are shared with those that follow', async () => {
  const { db, port, end, run } = await startKeeping();
  const turn = `CANARY ${'large '.repeat(1_000)}`;
  await fetch(`http://127.0.0.1:${port}/bedrock/model/amazon.nova-lite-v1:0/converse`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ system: [{ text: turn }], messages: [{ role: 'user', content: [{ text: 'Hello' }] }] }),
  });
  await end();
  const args = ['inspect', 'export', db, '--unsanitized', '--confirm', 'contains prompts', '-o', '-'];
  const [, line = ''] = (await run(args)).stdout.split('\n');
  expect(JSON.parse(line)).toMatchObject({
    layers: { client_request: { body: { hole: null, text: expect.stringContaining(turn) } } },
  });
}, 30_000);

it('keeps nothing of what hands out credentials', async () => {
  const { db, port, end } = await startKeeping();
  const response = await fetch(`http://127.0.0.1:${port}/bedrock/identities/api-key`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceCredentialProviderName: 'x', workloadIdentityToken: 'CANARY-token' }),
  });
  await response.arrayBuffer();
  await end();
  expect(filesOf(db)).toContain('GetResourceApiKey');
  expect(filesOf(db)).not.toContain('CANARY');
}, 30_000);
