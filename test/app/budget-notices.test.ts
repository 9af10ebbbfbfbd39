import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createBudgetNotices, describeAlert, formatAlertEvent } from '../../src/app/budget-notices.ts';
import type { BudgetAlert } from '../../src/app/budget-watch.ts';
import { readConfig } from '../../src/config/config.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const ALERT: BudgetAlert = {
  keyId: 'vk_a',
  keyLabel: 'alice',
  threshold: 80,
  spentNanoUsd: 20_100_000_000,
  limitNanoUsd: 25_000_000_000,
  resetsAtMs: Date.UTC(2030, 0, 1),
};

/** All that is told on stderr and stdout, as text. */
function listen(): { readonly told: () => string } {
  let told = '';
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => (told += String(text)) !== ''),
  );
  onTestFinished(() => spies.forEach((spy) => spy.mockRestore()));
  return { told: () => told };
}

describe('an alert', () => {
  it('is a sentence for people', () => {
    expect(describeAlert(ALERT)).toBe(
      'budget: alice has spent $20.10 of $25.00 (80 %); a new budget starts at 2030-01-01 00:00Z.',
    );
    expect(describeAlert({ ...ALERT, threshold: 100, spentNanoUsd: 24_990_000_000, resetsAtMs: undefined })).toBe(
      'budget: alice has used up its budget, $24.99 of $25.00 (99 %): what costs more than is left is refused until it ' +
        'gets more (`bedrock-proxy key update`).',
    );
  });

  it('is an event for programs', () => {
    expect(JSON.parse(formatAlertEvent(ALERT, 0))).toEqual({
      event: 'budget',
      time: '1970-01-01T00:00:00.000Z',
      key_id: 'vk_a',
      key: 'alice',
      threshold: 80,
      percent: 80,
      spent_usd: '20.1',
      limit_usd: '25',
      resets_at: '2030-01-01T00:00:00.000Z',
    });
  });

  it.each([
    { name: 'a sentence', flags: {}, told: /^budget: alice .*\n$/ },
    { name: 'an event, if the log is JSON', flags: { logFormat: 'json' }, told: /^\{"event":"budget".*\n$/ },
    { name: 'nothing, if all is quiet', flags: { quiet: true }, told: /^$/ },
  ])('is told once, as $name', ({ flags, told: expected }) => {
    const { told } = listen();
    const notices = createBudgetNotices(readConfig(flags, {}));
    notices.tell(ALERT);
    notices.tell({ ...ALERT });
    expect(told()).toMatch(expected);
  });
});

describe.skipIf(process.platform === 'win32')('--on-budget', () => {
  it('gets what happened in its environment, and none of it in the line that the shell parses', async () => {
    vi.stubEnv('BEDROCK_PROXY_MASTER_KEY', 'sk-master');
    onTestFinished(() => void vi.unstubAllEnvs());
    const file = join(await makeTemporaryFolder(), 'told');
    const keyLabel = '$(touch /tmp/never); "`id`" & x';
    expect(await run(`env | grep BEDROCK_PROXY_ | sort >"${file}"`, { ...ALERT, keyLabel })).toBe('');
    expect((await readFile(file, 'utf8')).trim().split('\n')).toEqual([
      'BEDROCK_PROXY_BUDGET_LIMIT_USD=25',
      'BEDROCK_PROXY_BUDGET_PERCENT=80',
      'BEDROCK_PROXY_BUDGET_RESETS_AT=2030-01-01T00:00:00.000Z',
      'BEDROCK_PROXY_BUDGET_SPENT_USD=20.1',
      'BEDROCK_PROXY_BUDGET_THRESHOLD=80',
      `BEDROCK_PROXY_KEY_ALIAS=${keyLabel}`,
      'BEDROCK_PROXY_KEY_ID=vk_a',
    ]);
  });

  it('tells of a command that fails, with its last words', async () => {
    expect(await run('echo first >&2; echo no mail today >&2; exit 3', ALERT)).toBe(
      'warning: --on-budget for alice: it ended with exit code 3: no mail today.\n',
    );
  });

  it('runs for every alert, some at a time, and bounds those that wait', async () => {
    const file = join(await makeTemporaryFolder(), 'told');
    const alerts = Array.from({ length: 120 }, (_, number) => ({ ...ALERT, keyId: `vk_${number}` }));
    const told = await run(`echo . >>"${file}"`, ...alerts);
    expect(told.split('\n').filter((line) => line.includes('too many are waiting already'))).toHaveLength(16);
    expect((await readFile(file, 'utf8')).length).toBe(104 * 2);
  });
});

/** Gives what was told besides. */
async function run(onBudget: string, ...alerts: readonly BudgetAlert[]): Promise<string> {
  const { told } = listen();
  const notices = createBudgetNotices(readConfig({ onBudget, quiet: true }, {}));
  alerts.forEach(notices.tell);
  await notices.close();
  return told();
}
