/**
 * A saved page in a real Chromium: opened from the disk, without a network.
 * @module-tag slow
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPage } from '../../scripts/build-page.mjs';
import { exportExchanges } from '../../src/inspector/export-exchanges.ts';
import { bodyOf, keptExchange } from '../helpers/kept-exchanges.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const CHROMIUM = (process.env['PATH'] ?? '')
  .split(':')
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find((path) => existsSync(path));

describe.skipIf(CHROMIUM === undefined)('a saved page', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox'] });
  });
  afterAll(() => browser.close());

  async function open(isSanitized: boolean): Promise<{ readonly page: Page; readonly problems: string[] }> {
    const hostile = '</script><script>document.title="broken"</script><img src=x onerror=alert(1)>';
    const body = bodyOf(
      JSON.stringify({ messages: [{ role: 'user', content: [{ text: `${hostile} Where is the bug?` }] }] }),
    );
    const exchange = keptExchange();
    const layers = { ...exchange.layers, clientRequest: { headers: [], body } };
    const files = await buildPage();
    const parts = exportExchanges([{ ...exchange, layers }, keptExchange({ id: 'req-2', note: 'the second' })], {
      format: 'html',
      version: '1.2.3',
      exportedAtMs: 0,
      isSanitized,
      dropped: {},
      salt: 'salt',
      page: { script: files.get('assets/page.js') ?? '', style: files.get('assets/page.css') ?? '' },
    });
    const path = join(await makeTemporaryFolder(), 'saved.html');
    writeFileSync(path, [...parts].join(''));
    const context = await browser.newContext({ offline: true, viewport: { width: 1440, height: 900 } });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('request', (request) => {
      if (!request.url().startsWith('file:')) problems.push(request.url());
    });
    await page.goto(pathToFileURL(path).href);
    return { page, problems };
  }

  it('lists and shows exchanges, asks nobody, and breaks no rule of its policy', async () => {
    const { page, problems } = await open(false);
    await page.getByRole('row').filter({ hasText: 'nova-lite' }).first().waitFor();
    expect(await page.getByRole('row').filter({ hasText: 'nova-lite' }).count()).toBe(2);
    await page.goto(`${page.url().split('#')[0]}#/req-1/messages`);
    await page.reload();
    await page.getByText('Where is the bug?').first().waitFor();
    expect(await page.title()).toContain('contains prompts');
    for (const tab of ['Request', 'Response', 'Frames', 'Timing', 'Signing']) {
      await page.getByRole('tab', { name: tab }).click();
      await page.getByRole('tabpanel').first().waitFor();
    }
    expect(await page.getByRole('alert').count()).toBe(0);
    // Nothing is offered that wants a server.
    for (const name of ['Pin', 'Delete', 'Export', 'Copy as', 'Clear', 'Pause']) {
      expect(await page.getByRole('button', { name }).count()).toBe(0);
    }
    expect(await page.getByRole('link', { name: 'Keys' }).count()).toBe(0);
    expect(problems).toEqual([]);
  }, 60_000);

  it('shows no text if it was sanitized', async () => {
    const { page, problems } = await open(true);
    await page.getByRole('row').filter({ hasText: 'nova-lite' }).first().waitFor();
    expect(await page.content()).not.toContain('Where is the bug?');
    expect(problems).toEqual([]);
  }, 60_000);
});
