/**
 * Every view of the page, dark and light, under axe: nothing serious.
 * @module-tag slow
 */
import type { Page } from 'playwright-core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CHROMIUM, openPage } from '../helpers/browser.ts';
import { HandMadeExchanges, startInspected } from '../helpers/inspected.ts';
import { judge } from '../helpers/inspector-page.ts';
import { CHANGED, sampleExchanges, sampleId, THROTTLED } from '../helpers/sample-exchanges.ts';

const SCHEMES = ['light', 'dark'] as const;

async function show(count: number, scheme: (typeof SCHEMES)[number]): Promise<Page> {
  const inspected = await startInspected(new HandMadeExchanges(sampleExchanges(count)), {
    caches: new Map([[sampleId(count), CHANGED]]),
    explanations: new Map(sampleExchanges(count).map(({ id }) => [id, THROTTLED])),
  });
  onTestFinished(() => inspected.close());
  const page = await openPage(inspected.link, { colorScheme: scheme, expected: /404|400|401/ });
  await page.waitForSelector(count > 0 ? '.row' : '.empty h2');
  return page;
}

describe.skipIf(CHROMIUM === undefined)('the page for everybody (needs Chromium)', { timeout: 90_000 }, () => {
  describe.each(SCHEMES)('%s', (scheme) => {
    it('without exchanges, and without a token', async () => {
      const page = await show(0, scheme);
      expect(await judge(page)).toEqual([]);
      await page.evaluate('localStorage.clear()');
      await page.reload();
      await page.waitForSelector('.gate');
      expect(await judge(page)).toEqual([]);
    });

    it('the list, its menus, its dialogs and a wrong filter', async () => {
      const page = await show(60, scheme);
      expect(await judge(page)).toEqual([]);
      await page.click('summary:has-text("Columns")');
      expect(await judge(page)).toEqual([]);
      await page.click('summary:has-text("Columns")');
      await page.keyboard.press('Escape');
      await page.click('#page h1');
      await page.keyboard.press('?');
      await page.waitForSelector('dialog[open]');
      expect(await judge(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await page.fill('#filter', 'modle:x');
      await page.waitForSelector('#filter-problem');
      expect(await judge(page)).toEqual([]);
    });

    it.each(['messages', 'request', 'response', 'frames', 'timing', 'signing', 'cache'])(
      'an exchange, %s',
      async (tab) => {
        const page = await show(6, scheme);
        await page.click(`#row-${sampleId(6)}`);
        await page.click(`#tab-${tab}`);
        await page.waitForTimeout(300);
        expect(await judge(page)).toEqual([]);
      },
    );

    it('one that failed', async () => {
      const page = await show(6, scheme);
      await page.click('.row-error');
      await page.waitForSelector('.explanation li');
      expect(await judge(page)).toEqual([]);
    });
  });

  it('moves nothing where less motion is wanted, and shows what is selected in forced colours', async () => {
    const page = await show(6, 'light');
    await page.emulateMedia({ reducedMotion: 'reduce', forcedColors: 'active' });
    await page.click(`#row-${sampleId(6)}`);
    const outline = await page.evaluate<string>(
      `getComputedStyle(document.querySelector('.row-selected')).outlineStyle`,
    );
    expect(outline).toBe('solid');
  });
});
