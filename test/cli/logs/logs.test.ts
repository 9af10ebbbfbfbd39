/**
 * The ledger shown and followed, while this process writes what the command, in its own, is to show.
 * @module-tag slow
 */
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { LedgerRow } from '../../../src/domain/ledger.ts';
import type { Store } from '../../../src/domain/store.ts';
import { type Cli, type CliResult, openCli } from '../../helpers/cli.ts';
import { aLedgerRow } from '../../helpers/store-rows.ts';

async function openLedger(cli: Cli, rows: readonly Partial<LedgerRow>[] = []): Promise<Store> {
  const store = await openSqliteStore(cli.databasePath);
  onTestFinished(() => store.close());
  for (const row of rows) await add(store, row);
  return store;
}

async function add(store: Store, row: Partial<LedgerRow>): Promise<void> {
  await store.settle(aLedgerRow({ startedAtMs: Date.now(), ...row }));
}

const numbered = (count: number): Partial<LedgerRow>[] =>
  Array.from({ length: count }, (_, index) => ({ keyLabel: `label-${index}` }));
const labelsOf = ({ stdout }: Pick<CliResult, 'stdout'>): string[] =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { key: string }).key);

describe('logs', () => {
  it('shows the last 20 rows of the ledger, oldest first', async () => {
    const cli = await openCli();
    await openLedger(cli, numbered(25));
    const result = await cli.run(['logs', '--json']);
    expect([result.code, result.stderr]).toEqual([0, '']);
    expect(labelsOf(result)).toEqual(Array.from({ length: 20 }, (_, index) => `label-${index + 5}`));
    const lines = (await cli.run(['logs', '-n', '2'])).stdout.trimEnd().split('\n');
    expect(lines.map((line) => line.split(/ {2,}/)[1])).toEqual(['label-23', 'label-24']);
    expect(labelsOf(await cli.run(['logs', '-n', '0', '--json']))).toEqual([]);
  });

  const OTHERS: readonly Partial<LedgerRow>[] = [
    { keyLabel: 'old', startedAtMs: 1_700_000_000_000 },
    { keyLabel: 'limited', status: 429, errorCode: 'ERR_REQUEST_RATE' },
    { keyLabel: 'missing', status: 404, principal: 'anonymous' },
    { keyLabel: 'gone', status: undefined },
    { keyLabel: 'sonnet', model: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0' },
    { keyLabel: 'stream', operation: 'ConverseStream', model: undefined },
    { keyLabel: 'bob', keyId: 'vk_aaaaaaaaaaaaaaaa', session: 's-1', id: 'id-of-bob' },
  ];

  it.each([
    { flags: ['--status', '429'], labels: ['limited'] },
    { flags: ['--status', '4xx'], labels: ['limited', 'missing'] },
    { flags: ['--status', '400-404'], labels: ['missing'] },
    { flags: ['--model', 'anthropic.claude-sonnet*'], labels: ['sonnet'] },
    { flags: ['--model', '*haiku*'], labels: [] },
    { flags: ['--operation', 'ConverseStream'], labels: ['stream'] },
    { flags: ['--key', 'vk_aaaaaaaaaaaaaaaa'], labels: ['bob'] },
    { flags: ['--key', 'anonymous'], labels: ['missing'] },
    { flags: ['--session', 's-1'], labels: ['bob'] },
    { flags: ['--session', 's-%'], labels: [] },
    { flags: ['--id', 'id-of-bob'], labels: ['bob'] },
    { flags: ['--filter', 'status:4xx -error:*rate*'], labels: ['missing'] },
    { flags: ['--filter', 'model:*sonnet* | session:s-1', '-n', '1'], labels: ['bob'] },
    { flags: ['--since', '1h', '--status', '200'], labels: ['sonnet', 'stream', 'bob'] },
    { flags: ['--since', '1h', '-n', '1'], labels: ['bob'] },
    { flags: ['--since', '2023-11-14'], labels: OTHERS.map(({ keyLabel }) => keyLabel) },
  ])('shows the rows of the ledger that $flags choose', async ({ flags, labels }) => {
    const cli = await openCli();
    await openLedger(cli, OTHERS);
    expect(labelsOf(await cli.run(['logs', '--json', ...flags]))).toEqual(labels);
  });

  it('says that no row is of that kind, and what is wrong with a number of rows', async () => {
    const cli = await openCli();
    await openLedger(cli, numbered(1));
    const none = { code: 0, stdout: '', stderr: 'There is no such request in the ledger.\n' };
    expect(await cli.run(['logs', '--status', '5xx'])).toEqual(none);
    expect(await cli.run(['logs', '--since', '1h', '--operation', 'Nothing'])).toEqual(none);
    expect(await cli.run(['logs', '-n', 'ten'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'error: -n must be a whole number from 0 to 100000, not "ten".\n',
    });
  });

  it('shows all that is known of one request, as a client cannot forge it', async () => {
    const cli = await openCli();
    await openLedger(cli, [
      { id: 'the-one', session: 's-1', model: 'a\u001b[2J\nstatus  200', tags: { repo: 'x' } },
      {},
    ]);
    const lines = (await cli.run(['logs', '--id', 'the-one'])).stdout.trimEnd().split('\n');
    const fields = Object.fromEntries(lines.map((line) => line.split(/ {2,}(.*)/)));
    expect(fields).toMatchObject({ id: 'the-one', session: 's-1', model: 'a?[2J?status  200', tags: '{"repo":"x"}' });
    expect(fields).toMatchObject({ status: '200', cost_nano_usd: '1000', partial: 'false' });
    expect(fields).not.toHaveProperty('error');
  });

  it('says what the error of AWS means', async () => {
    const cli = await openCli();
    const errorMessage = 'invalid beta flag';
    await openLedger(cli, [{ id: 'the-one', status: 400, errorCode: 'ValidationException', errorMessage }]);
    expect((await cli.run(['logs', '--id', 'the-one'])).stdout).toMatch(/^hint {2,}A value of anthropic-beta/m);
  });

  it('finds rows far behind, page by page', async () => {
    const cli = await openCli();
    const many = Array.from({ length: 1_100 }, (_, index) => ({ keyLabel: String(index), model: `m.${index % 600}` }));
    await openLedger(cli, many);
    expect(labelsOf(await cli.run(['logs', '--json', '--model', 'm.3']))).toEqual(['3', '603']);
    expect(labelsOf(await cli.run(['logs', '--json', '-n', '1050']))).toEqual(
      many.slice(50).map(({ keyLabel }) => keyLabel),
    );
    expect(labelsOf(await cli.run(['logs', '--json', '--since', '1d']))).toHaveLength(1_100);
  });

  it('says that there are no rows, and makes no database', async () => {
    const cli = await openCli();
    const { code, stdout, stderr } = await cli.run(['logs']);
    expect([code, stdout, existsSync(cli.databasePath)]).toEqual([0, '', false]);
    expect(stderr).toMatch(/^There is no database at .* yet\.\n$/);
  });

  it.each([
    { flags: ['-n', 'x'], says: '-n must be a whole number from 0 to 100000' },
    { flags: ['--filter', 'modle:x'], says: '--filter: There is no field "modle" (at character 1).' },
    { flags: ['--status', '4x'], says: '--status must be like 429, 4xx or 400-499' },
    { flags: ['--status', '499-400'], says: '--status must be like' },
    { flags: ['--model', 'a b'], says: '--model must be patterns' },
    { flags: ['--since', '2026-02-30'], says: '--since must be a length of time' },
  ])('refuses `logs` $flags', async ({ flags, says }) => {
    const { code, stdout, stderr } = await (await openCli()).run(['logs', ...flags]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(says);
  });
});

describe('logs -f', () => {
  it('follows what another process writes, and only what was asked for, until it is interrupted', async () => {
    const cli = await openCli();
    const store = await openLedger(cli, numbered(3));
    const running = cli.spawn(['logs', '-f', '--json', '-n', '1', '--status', '200']);
    await running.waitFor('stdout', /label-2/);
    await add(store, { keyLabel: 'refused', status: 403 });
    await add(store, { keyLabel: 'first' });
    await running.waitFor('stdout', /first/);
    await add(store, { keyLabel: 'second' });
    await running.waitFor('stdout', /second/);
    running.child.kill('SIGINT');
    const result = await running.ended;
    expect([result.code, result.stderr]).toEqual([0, '']);
    expect(labelsOf(result)).toEqual(['label-2', 'first', 'second']);
  });

  it('misses none and repeats none of many rows that it follows', async () => {
    const cli = await openCli();
    const store = await openLedger(cli);
    const running = cli.spawn(['logs', '-f', '--json', '-n', '2000']);
    for (const row of numbered(1_200)) await add(store, row);
    await running.waitFor('stdout', /label-1199"/);
    running.child.kill('SIGTERM');
    expect(labelsOf(await running.ended)).toEqual(numbered(1_200).map(({ keyLabel }) => keyLabel));
  });

  it('waits for a database to follow that is not there yet', async () => {
    const cli = await openCli();
    const running = cli.spawn(['logs', '-f', '--json']);
    await running.waitFor('stderr', /Waiting for the first request/);
    await openLedger(cli, numbered(1));
    await running.waitFor('stdout', /label-0/);
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(0);
  });

  it('waits for a database to follow that is away for a while', async () => {
    const cli = await openCli();
    const store = await openLedger(cli, numbered(1));
    const running = cli.spawn(['logs', '-f', '--json']);
    await running.waitFor('stdout', /label-0/);
    await rename(cli.databasePath, `${cli.databasePath}.away`);
    await running.waitFor('stderr', /note: .* Waiting for it\./);
    await rename(`${cli.databasePath}.away`, cli.databasePath);
    await running.waitFor('stderr', /the ledger answers again/);
    await add(store, { keyLabel: 'after' });
    await running.waitFor('stdout', /after/);
    running.child.kill('SIGINT');
    expect(labelsOf(await running.ended)).toEqual(['label-0', 'after']);
  });

  it('ends without a word when nobody reads the rows any more', async () => {
    const cli = await openCli();
    const store = await openLedger(cli, numbered(1));
    const running = cli.spawn(['logs', '-f', '--json']);
    await running.waitFor('stdout', /label-0/);
    const exited = once(running.child, 'exit');
    running.child.stdout?.destroy();
    await add(store, { keyLabel: 'unread' });
    expect(await exited).toEqual([0, null]);
    expect((await running.ended).stderr).toBe('');
  });
});
