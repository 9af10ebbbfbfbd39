/**
 * What the commands show in terminals of 80, 120 and 200 columns, compared as text.
 * @module-tag slow
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { LedgerRow } from '../../src/domain/ledger.ts';
import { aKeyRow, aLedgerRow } from '../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';
import { findWrapped, openTerminal, PTY_PYTHON } from './terminal.ts';

const NOON = Date.UTC(2026, 6, 1, 12);
const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const FREE = { pricing: 'free', costNanoUsd: 0, chargedNanoUsd: 0 } as const;
const ROWS: readonly Partial<LedgerRow>[] = [
  {
    keyLabel: 'alice',
    operation: 'ConverseStream',
    model: SONNET,
    usage: { inputTokens: 1_234, outputTokens: 345 },
    firstByteMs: 321,
    totalMs: 12_345,
    costNanoUsd: 8_877_000,
  },
  {
    keyLabel: '東京チーム',
    operation: 'InvokeModelWithResponseStream',
    model: SONNET,
    usage: { outputTokens: 7 },
    firstByteMs: 80,
    totalMs: 900,
    partial: true,
    errorCode: 'ERR_CLIENT_GONE',
    errorMessage: 'The client left before its response was complete.',
  },
  {
    ...FREE,
    keyLabel: 'bob',
    model: SONNET,
    status: 403,
    totalMs: 45,
    errorCode: 'AccessDeniedException',
    errorMessage: 'User: arn:aws:iam::123456789012:user/bob is not authorized to perform: bedrock:InvokeModel',
  },
  {
    ...FREE,
    keyLabel: 'bob',
    operation: undefined,
    model: undefined,
    region: undefined,
    method: 'POST',
    path: '/bedrock/v1/messages',
    status: 404,
    totalMs: 0.8,
    errorCode: 'ERR_UNKNOWN_PATH',
    errorMessage: 'Bedrock has no operation at this path.',
  },
];

async function openHome(rows: readonly Partial<LedgerRow>[] = []) {
  const home = await makeTemporaryFolder();
  const store = await openSqliteStore(join(home, 'data', 'bedrock-proxy', 'keys.db'));
  onTestFinished(() => store.close());
  for (const [index, row] of rows.entries())
    await store.settle(aLedgerRow({ startedAtMs: NOON + index * 1_000, ...row }));
  return { home, store };
}

const converse = (
  port: string | undefined,
  path = '/bedrock/model/amazon.nova-lite-v1:0/converse',
): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}',
  });

describe.skipIf(PTY_PYTHON === undefined)('in a terminal (needs Python, and no Windows)', () => {
  it.each([80, 120, 200])('logs has one line for a request, in columns: %i', async (columns) => {
    const { home } = await openHome(ROWS);
    const terminal = openTerminal(['logs'], { columns, home });
    expect(await terminal.ended).toBe(0);
    const screen = await readFile(new URL(`screens/logs-${columns}.txt`, import.meta.url), 'utf8');
    expect(`${terminal.lines().join('\n')}\n`).toBe(screen);
    expect(findWrapped(terminal.lines(), columns)).toEqual([]);
  });

  it.each([80, 120, 200])('start greets, shows requests and ends, and wraps nothing: %i', async (columns) => {
    const { home } = await openHome();
    const terminal = openTerminal(['start', '--offline', '--port', '0'], { columns, home });
    const [, port] = await terminal.waitFor(/localhost:(\d+)\/bedrock\n[^]*endpoint_url=.*\n/);
    await converse(port);
    await converse(port, '/bedrock/v1/nothing/of/this');
    await terminal.waitFor(/ 200 [^]* 400 .*\n/);
    const first = terminal.lines().findIndex((line) => line.startsWith('UTC '));
    const [head = '', fine = '', lost = ''] = terminal.lines().slice(first);
    expect(fine.indexOf('amazon.nova-lite')).toBe(head.indexOf('MODEL'));
    expect(fine.indexOf(' 200 ')).toBe(head.indexOf(' ST '));
    expect(lost.indexOf(' 400 ')).toBe(head.indexOf(' ST '));
    expect(lost).toMatch(/ POST \/bedrock\/v1\/nothing\/of\/this +400 .*invalid_request_error/);
    terminal.type('\u0003');
    expect(await terminal.ended).toBe(0);
    expect(terminal.lines().at(-1)).toMatch(/Stopped after 2 requests, \$0\.\d+\.$/);
    expect(terminal.lines().join('\n')).not.toContain('Ending;');
    expect(findWrapped(terminal.lines(), columns)).toEqual([]);
  });

  it('start lays its lines out anew when the terminal is resized', async () => {
    const { home } = await openHome();
    const terminal = openTerminal(['start', '--offline', '--port', '0'], { columns: 80, home });
    const [, port] = await terminal.waitFor(/localhost:(\d+)\/bedrock\n[^]*endpoint_url=.*\n/);
    await converse(port);
    await terminal.waitFor(/ 200 .*\n/);
    terminal.resize(200, 50);
    // The size is the terminal's before the next request is over.
    await expect
      .poll(async () => {
        await converse(port);
        return terminal.lines().filter((line) => line.startsWith('UTC ')).length;
      })
      .toBe(2);
    expect(terminal.lines().findLast((line) => line.startsWith('UTC '))).toMatch(/REGION +FIRST +TOTAL +IN>OUT +COST$/);
  });

  it.each([80, 120])('key list keeps its columns, whatever the script of an alias: %i', async (columns) => {
    const { home, store } = await openHome();
    for (const alias of ['alice', '東京検索チーム本番環境', 'team-search-production-europe']) {
      await store.insertKey(aKeyRow({ alias, createdAtMs: NOON }));
    }
    const terminal = openTerminal(['key', 'list'], { columns, home });
    expect(await terminal.ended).toBe(0);
    const lines = terminal.lines();
    expect(findWrapped(lines, columns)).toEqual([]);
    const { displayWidth } = await import('../../src/lib/display-width.ts');
    const stateAt = lines.slice(1).map((line) => displayWidth(line.slice(0, line.indexOf(' active '))));
    expect(new Set([...stateAt, (lines[0] ?? '').indexOf(' STATE ')]).size).toBe(1);
  });

  it.each([
    ['doctor', '--offline', '--port', '1'],
    ['prices', 'list', 'nova'],
    ['models', '--offline', 'sonnet-4'],
    ['usage', '--by', 'key,model'],
    ['key', 'show', 'nobody-of-this-name'],
    ['start', '--port', 'x'],
  ])('%s %s wraps nothing at 80 columns', async (...args) => {
    const { home } = await openHome(ROWS);
    const terminal = openTerminal(args, { columns: 80, home });
    await terminal.ended;
    // A path is one word, which stays whole, so that it can be copied.
    expect(findWrapped(terminal.lines(), 80).filter((line) => !line.includes(home))).toEqual([]);
  });

  it('the question about a taken port breaks between words', async () => {
    const { home } = await openHome();
    const first = openTerminal(['start', '--offline', '--port', '0'], { columns: 80, home });
    const [, port = ''] = await first.waitFor(/localhost:(\d+)\/bedrock\n[^]*endpoint_url=.*\n/);
    const second = openTerminal(['start', '--offline', '--port', port], { columns: 80, home });
    await second.waitFor(/instead\? \[Y\/n\]/);
    expect(second.lines()[0]).toMatch(/^A bedrock-proxy \S+ \(offline, us-east-1, open,$/);
    expect(findWrapped(second.lines(), 80).filter((line) => !line.includes(home))).toEqual([]);
  });

  it('leaves a command whole that is to be pasted, however wide', async () => {
    const { home } = await openHome();
    const env = { SHELL: '/bin/bash' };
    const terminal = openTerminal(['env', '--for', 'codex', '--db', 'no such.db'], { columns: 80, home, env });
    expect(await terminal.ended).toBe(0);
    const lines = terminal.lines();
    expect(lines.find((line) => line.startsWith('`codex '))).toMatch(/ -m \S+`$/);
    expect(lines).toContain('  eval "$(bedrock-proxy env --for codex --db \'no such.db\')"');
  });

  it('an error fills its lines to the end: colours take no columns', async () => {
    const { home } = await openHome();
    const terminal = openTerminal(['start', '--port', 'word '.repeat(30).trim()], {
      columns: 80,
      home,
      env: { NO_COLOR: '' },
    });
    await terminal.ended;
    expect(terminal.lines()[0]).toContain('\u001B[31m');
    const [first = '', second = ''] = terminal.lines().map(stripVTControlCharacters);
    expect(first.length + ' word'.length).toBeGreaterThan(80);
    expect(second).toMatch(/^ {7}word word word/);
  });

  it('names the command as the user has it', async () => {
    const { home } = await openHome();
    const env = { npm_command: 'exec', npm_config_user_agent: 'npm/11.0.0 node/v24.0.0' };
    const list = openTerminal(['key', 'list'], { columns: 80, home, env });
    await list.ended;
    expect(list.lines().join(' ')).toContain('`npx bedrock-proxy key generate`');
    const help = openTerminal(['logs', '--help'], { columns: 80, home, env });
    await help.ended;
    expect(help.lines().join('\n')).toContain('$ npx bedrock-proxy logs');
    expect(help.lines().join('\n')).not.toMatch(/\$ bedrock-proxy/);
  });
});
