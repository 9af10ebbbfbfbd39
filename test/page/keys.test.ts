/**
 * Keys and usage in a browser, over a whole proxy with a master key.
 * @module-tag slow
 */
import type { Page } from 'playwright-core';
import { describe, expect } from 'vitest';
import type { KeyPolicy } from '../../src/domain/key.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { CHROMIUM } from '../helpers/browser.ts';
import { converse, judge, openInspectorPage, passThrough, readFocus, WAIT } from '../helpers/inspector-page.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';

const MASTER_KEY = 'sk-master-0123456789abcdef';
const { it, testbed } = proxyTest({
  config: { inspect: true },
  environment: { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY },
});
const DAY_MS = 86_400_000;
const FOREVER = { windowMs: undefined, anchorMs: 0 };
const CLIPBOARD = { permissions: ['clipboard-read', 'clipboard-write'] };

/** One of the two views, opened with the master key. */
async function open(view: 'keys' | 'usage', options: Parameters<typeof openInspectorPage>[2] = {}): Promise<Page> {
  const page = await openInspectorPage(testbed, `#/${view}`, options);
  await page.fill('#master-key', MASTER_KEY);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.sheet h2');
  return page;
}

const rowOf = (name: string): string => `.sheet-table tbody tr:has-text("${name}")`;
const press = (page: Page, name: string, button: string): Promise<void> =>
  page.click(`${rowOf(name)} >> button:has-text("${button}")`);
const confirm = (page: Page): Promise<void> => page.click('dialog[open] .button-danger');
const isAccepted = async (key: string): Promise<boolean> => {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const response = await fetch(`${testbed.url}${converse('converse')}`, { method: 'POST', headers, body: '{}' });
  await response.arrayBuffer();
  return response.status !== 401 && response.status !== 403;
};

describe.skipIf(CHROMIUM === undefined)('keys and usage in a browser (needs Chromium)', { timeout: 90_000 }, () => {
  it('want the master key, which does not outlive the tab', async () => {
    const page = await openInspectorPage(testbed, '#/keys', { expected: /401|ERR_/ });
    await page.fill('#master-key', 'sk-wrong');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.gate [role=alert]');
    expect(await judge(page)).toEqual([]);
    await page.fill('#master-key', MASTER_KEY);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.sheet >> text=There is no key yet.');
    const kept = await page.evaluate<string>('JSON.stringify([localStorage, sessionStorage, location.href])');
    expect(kept).not.toContain(MASTER_KEY);
    await page.reload();
    await page.waitForSelector('#master-key');
    expect(await page.inputValue('#master-key')).toBe('');
  });

  it('make a key with limits, and show it once', async () => {
    const page = await open('keys', CLIPBOARD);
    await page.click('text=New key');
    await page.waitForSelector('dialog[open]');
    expect(await judge(page)).toEqual([]);
    await page.fill('#key-key_alias', 'alice');
    await page.fill('#key-models', '*nova*, *sonnet*');
    await page.fill('#key-max_budget', 'much');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog[open] >> text="much" is no number');
    await page.fill('#key-max_budget', '20');
    await page.fill('#key-rpm_limit', '60');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#made-title');
    const key = (await page.textContent('dialog[open] pre')) ?? '';
    expect(key).toMatch(/^sk-/);
    expect(await judge(page)).toEqual([]);
    await page.click('dialog[open] >> text=Copy');
    await page.waitForSelector('dialog[open] >> text=Copied');
    expect(await page.evaluate<string>('navigator.clipboard.readText()')).toBe(key);
    await page.keyboard.press('Escape');
    await page.waitForSelector('#made-title', { state: 'detached' });
    await expect.poll(() => page.textContent(rowOf('alice')), WAIT).toMatch(/active.*of \$20.*\*nova\*.*60 requests/s);
    expect(await page.content()).not.toContain(key);
    expect(await isAccepted(key)).toBe(true);
    expect(await judge(page)).toEqual([]);
  });

  it('change limits, and take one away', async () => {
    const { id } = await testbed.mint('alice');
    const page = await open('keys');
    await press(page, 'alice', 'Limits');
    await page.fill('#key-tpm_limit', '5000');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.textContent(rowOf('alice')), WAIT).toContain('tokens/min');
    await expect.poll(() => readFocus(page), WAIT).toBe('Limits');
    await press(page, 'alice', 'Limits');
    expect(await page.inputValue('#key-tpm_limit')).toBe('5000');
    await page.fill('#key-tpm_limit', '');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.textContent(rowOf('alice')), WAIT).not.toContain('tokens/min');
    const [kept] = await testbed.store.listKeys();
    expect(kept?.id).toBe(id);
  });

  it('block a key and let it go, rotate it, and delete it after asking', async () => {
    const alice = await testbed.mint('alice');
    const page = await open('keys');
    await press(page, 'alice', 'Block');
    await page.waitForSelector(`${rowOf('alice')} >> text=blocked`);
    expect(await isAccepted(alice.key)).toBe(false);
    await press(page, 'alice', 'Unblock');
    await page.waitForSelector(`${rowOf('alice')} >> text=active`);
    expect(await isAccepted(alice.key)).toBe(true);

    await press(page, 'alice', 'Rotate');
    await page.waitForSelector('#confirm-title');
    expect(await judge(page)).toEqual([]);
    await confirm(page);
    await page.waitForSelector('#made-title');
    const next = (await page.textContent('dialog[open] pre')) ?? '';
    expect(next).not.toBe(alice.key);
    await page.click('dialog[open] >> text=Close');
    expect([await isAccepted(alice.key), await isAccepted(next)]).toEqual([false, true]);
    await page.waitForSelector(rowOf(`sk-...${next.slice(-4)}`));

    await press(page, 'alice', 'Delete');
    await page.click('dialog[open] >> text=Cancel');
    expect(await isAccepted(next)).toBe(true);
    await press(page, 'alice', 'Delete');
    await confirm(page);
    await page.waitForSelector('#confirm-title', { state: 'detached' });
    await expect.poll(() => isAccepted(next), WAIT).toBe(false);
  });

  it('search, and lead to the requests of a key', async () => {
    const alice = await testbed.mint('alice');
    await testbed.mint('</script><img src=x onerror="document.title=1">');
    const id = await passThrough(testbed, converse('converse'), {}, alice.key);
    const page = await open('keys');
    await page.waitForSelector(rowOf('onerror'));
    expect(await page.locator('#page img').count()).toBe(0);
    await page.fill('[aria-label="Search keys"]', 'ali');
    await expect.poll(() => page.locator('.sheet-table tbody tr').count(), WAIT).toBe(1);
    await press(page, 'alice', 'Requests');
    await page.waitForSelector(`#row-${id}`);
    expect(await page.inputValue('#filter')).toBe('key:"alice"');
  });

  it.for(['light', 'dark'] as const)('plot what was spent, and say it in tables, %s', async (colorScheme) => {
    const alice = await testbed.mint('alice');
    const now = Date.now();
    const spent = (daysAgo: number, model: string, usd: number) =>
      aLedgerRow({
        keyId: alice.id,
        keyLabel: 'alice',
        model,
        startedAtMs: now - daysAgo * DAY_MS,
        usage: { inputTokens: 1_000, outputTokens: 50 },
        costNanoUsd: usd * 1e9,
        chargedNanoUsd: usd * 1e9,
      });
    await testbed.store.settleAll([
      spent(0, 'amazon.nova-lite-v1:0', 1.25),
      spent(1, 'amazon.nova-pro-v1:0', 3.5),
      spent(20, 'amazon.nova-pro-v1:0', 10),
    ]);
    await testbed.store.prepareReports(1_000);
    const page = await open('usage', { colorScheme });
    await page.waitForSelector('.plot');
    expect(await page.textContent('.big-number')).toBe('$14.75');
    expect(await page.locator('.plot [class^=series-]').count()).toBe(3);
    expect(await page.textContent('.legend')).toContain('amazon.nova-pro-v1:0');
    expect(await page.textContent('.usage-tables')).toMatch(/By key.*alice\$14\.75.*By model.*nova-pro-v1:0\$13\.5/s);
    expect(await judge(page)).toEqual([]);
    await page.click('text=7 days');
    await expect.poll(() => page.textContent('.big-number'), WAIT).toBe('$4.75');
    await page.click('text=by key');
    await page.waitForSelector('.legend >> text=alice');
  });

  it.for(['light', 'dark'] as const)('have nothing that keeps people out: keys, %s', async (colorScheme) => {
    const mint = (name: string, policy: Partial<KeyPolicy>) =>
      testbed.mint(name, { policy: { ...EMPTY_POLICY, ...policy } });
    const near = await mint('near', { budget: { limitNanoUsd: 10e9, ...FOREVER } });
    const full = await mint('full', { budget: { limitNanoUsd: 1e9, ...FOREVER }, models: ['*haiku*'] });
    await mint('fine', { requestsPerMinute: 60 });
    const spent = { model: 'amazon.nova-lite-v1:0', costNanoUsd: 9e9, chargedNanoUsd: 9e9 };
    await testbed.store.settleAll(
      [near, full].map(({ id }, at) => aLedgerRow({ ...spent, keyId: id, keyLabel: ['near', 'full'][at] ?? '' })),
    );
    const page = await openInspectorPage(testbed, '#/keys', { colorScheme });
    await page.waitForSelector('#master-key');
    expect(await judge(page)).toEqual([]);
    await page.fill('#master-key', MASTER_KEY);
    await page.keyboard.press('Enter');
    await page.waitForSelector(rowOf('full'));
    await press(page, 'fine', 'Block');
    await page.waitForSelector(`${rowOf('fine')} >> text=blocked`);
    expect(await judge(page)).toEqual([]);
    for (const button of ['Limits', 'Rotate', 'Delete']) {
      await press(page, 'near', button);
      await page.waitForSelector('dialog[open]');
      expect(await judge(page)).toEqual([]);
      await page.click('dialog[open] >> text=Cancel');
      await page.waitForSelector('dialog[open]', { state: 'detached' });
    }
  });

  it('fit a narrow window', async () => {
    await testbed.mint('alice');
    const page = await open('keys', { viewport: { width: 420, height: 800 } });
    await page.waitForSelector(rowOf('alice'));
    const width = (): Promise<number> => page.evaluate<number>('document.documentElement.scrollWidth');
    expect(await width()).toBeLessThanOrEqual(420);
    await page.evaluate(`location.hash = '#/usage'`);
    await page.waitForSelector('.plot');
    expect(await width()).toBeLessThanOrEqual(420);
  });
});
