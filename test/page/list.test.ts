/**
 * The list of exchanges in a browser, over the real API; the exchanges are made by hand.
 * @module-tag slow
 */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Page } from 'playwright-core';
import { CHROMIUM, openPage } from '../helpers/browser.ts';
import { HandMadeExchanges, type InspectedOptions, INSPECT_TOKEN, startInspected } from '../helpers/inspected.ts';
import { CHANGED, sampleExchange, sampleExchanges, sampleId, THROTTLED } from '../helpers/sample-exchanges.ts';

const WAIT = { timeout: 15_000, interval: 50 };

async function serve(
  source: HandMadeExchanges,
  options: InspectedOptions = {},
): Promise<Awaited<ReturnType<typeof startInspected>>> {
  const inspected = await startInspected(source, options);
  onTestFinished(() => inspected.close());
  return inspected;
}

/** The page with that many exchanges. */
async function show(
  count: number,
  options: Parameters<typeof openPage>[1] = {},
): Promise<{ page: Page; source: HandMadeExchanges; url: string; link: string }> {
  const source = new HandMadeExchanges(sampleExchanges(count));
  const { url, link } = await serve(source);
  const page = await openPage(link, options);
  if (count > 0) await page.waitForSelector('.row');
  return { page, source, url, link };
}

const row = (number: number): string => `#row-${sampleId(number)}`;
const count = (page: Page, selector: string): Promise<number> => page.locator(selector).count();
const scrollTop = (page: Page): Promise<number> => page.evaluate<number>(`document.querySelector('.grid').scrollTop`);
const focused = (page: Page): Promise<string> => page.evaluate<string>('document.activeElement.id');
const live = (page: Page): Promise<unknown> => page.waitForSelector('.liveness-live');

describe.skipIf(CHROMIUM === undefined)('the list in a browser (needs Chromium)', { timeout: 60_000 }, () => {
  it('takes the token out of the address, and keeps it for the next visit', async () => {
    const { page, url } = await show(3);
    expect(page.url()).toBe(`${url}#/`);
    await page.goto('about:blank');
    await page.goto(url);
    await page.waitForSelector('.row');
    expect(await count(page, '.row')).toBe(3);
    await page.waitForFunction(`!document.documentElement.outerHTML.includes('${INSPECT_TOKEN}')`);
  });

  it('asks for the token if there is none or a wrong one, and takes a pasted link', async () => {
    const { link, url } = await serve(new HandMadeExchanges(sampleExchanges(2)));
    const page = await openPage(`${url}#t=wrong`, { expected: /401/ });
    await page.waitForSelector('text=not valid any more');
    expect(await count(page, '.row')).toBe(0);
    await page.fill('#token', link);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.row');
    expect(await count(page, '.row')).toBe(2);
  });

  it('shows how to make the first request, and that one as soon as it is there', async () => {
    const { page, source } = await show(0);
    await page.waitForSelector('text=Waiting for the first request');
    expect(await page.textContent('.empty')).toContain(
      'AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://localhost:4000/bedrock',
    );
    await live(page);
    source.put(sampleExchange(1));
    await page.waitForSelector(row(1));
  });

  it('gives the lines that a client wants, to be copied', async () => {
    const { page, url } = await show(0);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: new URL(url).origin });
    await page.click('.clients dd:nth-of-type(2) .button');
    await page.waitForSelector('text=Copied');
    expect(await page.evaluate<string>('navigator.clipboard.readText()')).toMatch(/^export AWS_ENDPOINT_URL_BEDROCK_/);
  });

  it('says what passed: by columns, in words, with what went wrong', async () => {
    const source = new HandMadeExchanges(sampleExchanges(6), { dropped: { memory: 12 } });
    const { link } = await serve(source, {
      explanations: new Map([1, 2, 3, 4, 5, 6].map((number) => [sampleId(number), THROTTLED])),
      upstreams: [
        { name: 'one', state: 'ready' },
        { name: 'two', state: 'resting' },
      ],
    });
    const page = await openPage(link);
    await page.waitForSelector('.row');
    const heads = await page.locator('[role=columnheader]').allTextContents();
    expect(heads).toEqual('#|time|operation|model|key|status|ttfb|total|tokens in / out|cost|marks'.split('|'));
    const cells = await page.locator(`${row(6)} [role=gridcell]`).allTextContents();
    expect(cells).toMatchObject([
      '6',
      '12:04:55',
      'converse-stream',
      'claude-sonnet-4-5',
      'alice',
      '200',
      '615 ms',
      '4.10 s',
      '18.2k / 412',
      '$0.0213',
      '≋ stream',
      '17.9k cached · claude-cli',
    ]);
    expect(await page.textContent(`.row-error .second-line`)).toContain('tokens per minute');
    expect(await page.textContent('.head-state')).toContain('12 bodies not kept: memory limit');
    expect(await page.textContent('.head-state')).toContain('two rests of 2 upstreams');
    expect(await page.textContent('.foot')).toContain(THROTTLED.cause);
  });

  it('scrolls through 10,000 rows with less than 200 of them in the document', async () => {
    const { page } = await show(10_000);
    const grid = page.locator('.grid');
    await expect
      .poll(
        async () => {
          await page.evaluate(`document.querySelector('.grid').scrollTop = 1e9`);
          return count(page, row(1));
        },
        { ...WAIT, timeout: 50_000 },
      )
      .toBe(1);
    expect(await grid.getAttribute('aria-rowcount')).toBe('10001');
    expect(await page.locator(row(1)).getAttribute('aria-rowindex')).toBe('10001');
    const most = await page.evaluate<number>(`(async () => {
      const grid = document.querySelector('.grid');
      let most = 0;
      for (let top = grid.scrollHeight; top >= 0; top -= 7919) {
        grid.scrollTop = top;
        await new Promise(requestAnimationFrame);
        most = Math.max(most, document.querySelectorAll('.row').length);
      }
      return most;
    })()`);
    expect(most).toBeGreaterThan(20);
    expect(most).toBeLessThan(200);
  });

  it('takes a thousand new rows in a minute without a hitch', async () => {
    const { page, source } = await show(1_000);
    await live(page);
    let number = 1_000;
    const timer = setInterval(() => source.put(sampleExchange((number += 1))), 60);
    onTestFinished(() => clearInterval(timer));
    const times = await page.evaluate<number[]>(`new Promise((resolve) => {
      const times = [];
      const until = performance.now() + 5000;
      let last = performance.now();
      requestAnimationFrame(function draw(now) {
        times.push(now - last);
        last = now;
        now < until ? requestAnimationFrame(draw) : resolve(times);
      });
    })`);
    const sorted = times.toSorted((left, right) => left - right);
    // 16.7 ms is a frame of sixty a second; a machine that does other things besides may miss some.
    expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThan(18);
    expect(sorted[Math.floor(sorted.length * 0.95)]).toBeLessThan(51);
    expect(await page.textContent('.totals b')).not.toBe('1000');
  });

  it('keeps what is read where it is when rows come above it, and leads to them', async () => {
    const { page, source } = await show(500);
    await live(page);
    await page.evaluate(`document.querySelector('.grid').scrollTop = 4400`);
    await page.waitForSelector(row(400));
    const before = await page.locator(row(400)).boundingBox();
    for (let number = 501; number <= 514; number += 1) source.put(sampleExchange(number));
    await page.waitForSelector('text=14 new');
    expect((await page.locator(row(400)).boundingBox())?.y).toBeCloseTo(before?.y ?? 0, 0);
    await page.click('text=14 new');
    await page.waitForSelector(row(514));
    expect(await count(page, '.new-rows')).toBe(0);
  });

  it('filters on the server, keeps the filter in the address, and says where it is wrong', async () => {
    const { page, source } = await show(60, { expected: /400/ });
    await page.fill('#filter', 'status:429');
    await expect.poll(() => page.textContent('.totals'), WAIT).toMatch(/^10 of 60/);
    expect(page.url()).toMatch(/#\/\?f=status%3A429$/);
    source.put(sampleExchange(62));
    await page.reload();
    await page.waitForSelector('.row');
    expect(await page.inputValue('#filter')).toBe('status:429');
    expect(await count(page, '.row')).toBe(10);

    await page.fill('#filter', 'status:429 modle:x');
    await page.waitForSelector('#filter-problem');
    expect(await page.textContent('#filter-problem')).toContain('Did you mean model:?');
    expect(await page.textContent('#filter-problem mark')).toBe('modle:x');
    expect(await page.getAttribute('#filter', 'aria-invalid')).toBe('true');

    await page.fill('#filter', 'model:nothing*');
    await page.waitForSelector('text=No exchange fits this filter');
    await page.click('text=Clear the filter');
    await expect.poll(() => page.textContent('.totals'), WAIT).toMatch(/^61 shown/);
    expect(await page.inputValue('#filter')).toBe('');
  });

  it('finds the few that a filter lets through among many', async () => {
    const source = new HandMadeExchanges(sampleExchanges(6_000));
    source.mark(sampleId(3), { note: 'needle' });
    const { url, link } = await serve(source);
    const page = await openPage(link);
    await page.waitForSelector('.row');
    await page.goto(`${url}#/?f=needle`);
    await page.waitForSelector(row(3));
    expect(await count(page, '.row')).toBe(1);
  });

  it('offers fields while one types, by keyboard', async () => {
    const { page } = await show(3);
    await page.keyboard.press('/');
    await page.keyboard.type('mo');
    expect(await page.getAttribute('#filter', 'aria-expanded')).toBe('true');
    await page.keyboard.press('ArrowDown');
    expect(await page.getAttribute('#filter', 'aria-activedescendant')).toBe('offer-0');
    await page.keyboard.press('Enter');
    expect(await page.inputValue('#filter')).toBe('model:');
    expect(await page.getAttribute('#filter', 'aria-expanded')).toBe('false');
    await page.keyboard.type('*sonnet*');
    await expect.poll(() => page.url(), WAIT).toContain('f=model');
  });

  it('is gone through by keyboard, and one comes back to the row', async () => {
    const { page } = await show(40);
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    expect(await focused(page)).toBe(row(39).slice(1));
    expect(await count(page, '.details')).toBe(0);
    await page.keyboard.press('PageDown');
    expect(await focused(page)).toBe(row(29).slice(1));
    await page.keyboard.press('G');
    await expect.poll(() => focused(page), WAIT).toBe(row(1).slice(1));
    await page.keyboard.press('k');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.details');
    expect(page.url()).toContain(`#/${sampleId(2)}/messages`);
    await page.keyboard.press('k');
    await expect.poll(() => page.url(), WAIT).toContain(sampleId(3));
    await page.keyboard.press('Escape');
    await expect.poll(() => count(page, '.details'), WAIT).toBe(0);
    expect(await focused(page)).toBe(row(3).slice(1));
    await page.keyboard.press('p');
    await expect.poll(() => page.textContent(row(3)), WAIT).toContain('★ pinned');
  });

  it('tells its keys, and letters can be switched off', async () => {
    const { page } = await show(5);
    await page.keyboard.press('?');
    await page.waitForSelector('dialog[open] .keys-table');
    expect(await page.textContent('dialog[open]')).toContain('row before');
    await page.click('text=single letters are keys');
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    expect(await focused(page)).not.toContain('row-');
    await page.keyboard.press('ArrowDown');
    await expect.poll(() => focused(page), WAIT).toContain('row-');
  });

  it('stops and goes on without missing any', async () => {
    const { page, source } = await show(2);
    await live(page);
    await page.click('text=Pause');
    await page.waitForSelector('.liveness-paused');
    source.put(sampleExchange(3));
    source.remove(sampleId(1));
    await page.waitForTimeout(400);
    expect(await count(page, row(3))).toBe(0);
    await page.click('text=Resume');
    await page.waitForSelector(row(3));
    await expect.poll(() => count(page, '.row'), WAIT).toBe(2);
  });

  it('comes back when the server does, and loads anew what is another one', async () => {
    const first = await startInspected(new HandMadeExchanges(sampleExchanges(4)), { firstCursor: 1_000 });
    const page = await openPage(first.link, { expected: /ERR_|Failed to load/ });
    await live(page);
    await first.close();
    await page.waitForSelector('.liveness-gone');
    expect(await count(page, '.row')).toBe(4);
    const again = new HandMadeExchanges(sampleExchanges(9));
    // Another program may have taken the port for a moment.
    await vi.waitFor(() => serve(again, { port: first.port, firstCursor: 5_000 }), WAIT);
    await live(page);
    await expect.poll(() => count(page, '.row'), WAIT).toBe(9);
  });

  it('removes what the filter lets through, but for what is pinned', async () => {
    const { page, source } = await show(12);
    source.mark(sampleId(5), { isPinned: true });
    const failed = source.list({ matches: ({ row: { status } }) => status === 429, before: undefined, limit: 99 });
    expect(failed.items).toHaveLength(2);
    await page.fill('#filter', 'status:429');
    await expect.poll(() => count(page, '.row'), WAIT).toBe(2);
    await page.click('text=Clear these');
    await expect.poll(() => source.state().exchanges, WAIT).toBeLessThan(12);
    await expect.poll(() => count(page, '.row'), WAIT).toBe(failed.items.filter(({ id }) => id === sampleId(5)).length);
    await page.fill('#filter', '');
    await page.click('button:text-is("Clear")');
    await expect.poll(() => source.state().exchanges, WAIT).toBe(1);
  });

  it('exports without prompts at once, and with them after typed consent', async () => {
    const { page } = await show(4);
    await page.click('text=Export');
    const [har] = await Promise.all([page.waitForEvent('download'), page.click('text=HAR 1.2, without prompts')]);
    expect(har.suggestedFilename()).toMatch(/\.har$/);
    await page.click('text=Export');
    await page.click('text=NDJSON, with prompts');
    expect(await page.isDisabled('dialog[open] [type=submit]')).toBe(true);
    await page.fill('#consent', 'contains prompts');
    const [lines] = await Promise.all([page.waitForEvent('download'), page.click('dialog[open] [type=submit]')]);
    expect(lines.suggestedFilename()).toMatch(/contains.prompts.*\.ndjson$/);
  });

  it('names the bytes that differ as the cache doctor does', async () => {
    const { link } = await serve(new HandMadeExchanges(sampleExchanges(2)), {
      caches: new Map([[sampleId(2), CHANGED]]),
    });
    const page = await openPage(link);
    await page.click(row(2));
    await page.click('#tab-cache');
    // The view's end is the byte behind the last one; the sentence names the last one.
    await page.waitForSelector('text=bytes 1,284–1,291');
  });

  it.each([1_440, 1_000, 900, 420])('cuts nothing off of its head at %i pixels', async (width) => {
    const dropped = { memory: 6, rate: 1_204 };
    const { link } = await serve(new HandMadeExchanges(sampleExchanges(6), { dropped }), {
      upstreams: ['account-of-production', 'account-of-the-others'].map((name) => ({ name, state: 'resting' })),
    });
    const page = await openPage(link, { viewport: { width, height: 800 } });
    await live(page);
    await page.waitForSelector('.head-state:has-text("not kept")');
    const [cut, tops] = await page.evaluate<[string[], number[]]>(`[
      [...document.querySelectorAll('.head, .head *')]
        .filter((each) => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflow !== 'visible' ||
          each.getBoundingClientRect().right > innerWidth)
        .map((each) => each.className),
      ['.head-links', '.head > .button'].map((each) => {
        const { top, bottom } = document.querySelector(each).getBoundingClientRect();
        return Math.round((top + bottom) / 2);
      }),
    ]`);
    expect(cut).toEqual([]);
    if (width >= 900) expect(tops[1]).toBe(tops[0]);
  });

  it('leads from a failure to the same request that was sent again, in its foot and beside it', async () => {
    const failed = sampleExchange(1);
    const retry = { ...sampleExchange(6), attempt: { number: 2, previous: failed.id } };
    const { link } = await serve(new HandMadeExchanges([failed, retry]));
    const page = await openPage(link);
    await page.click('.foot .button:has-text("sent again")');
    await expect.poll(() => page.url(), WAIT).toContain(retry.id);
    await page.click('.turns span:has-text("attempt 2") .link');
    await expect.poll(() => page.url(), WAIT).toContain(failed.id);
    await page.click('.turns span:has-text("sent again as") .link');
    await expect.poll(() => page.url(), WAIT).toContain(retry.id);
  });

  it.each([961, 420])('has the words of the timing plot in a size that can be read, at %i pixels', async (width) => {
    const { page } = await show(3, { viewport: { width, height: 800 } });
    await page.click(row(1));
    await page.click('#tab-timing');
    await page.waitForSelector('.timing-plot');
    const [lowest, left, bars] = await page.evaluate<number[]>(`
      [...document.querySelectorAll('.timing-plot .plot-text')].reduce(([lowest, left, bars], text) => {
        const { height, left: from, right } = text.getBoundingClientRect();
        const isLabel = text.getAttribute('x') === '0';
        const sides = isLabel ? [Math.min(left, from), Math.max(bars, right)] : [left, bars];
        return [Math.min(lowest, height), ...sides];
      }, [99, 9999, 0])`);
    expect(lowest).toBeGreaterThanOrEqual(9);
    const plot = await page.evaluate<number>(`document.querySelector('.timing-plot').getBoundingClientRect().left`);
    expect(left).toBeGreaterThanOrEqual(plot - 1);
    const first = await page.evaluate<number>(`document.querySelector('.step').getBoundingClientRect().left`);
    expect(bars).toBeLessThanOrEqual(first);
  });

  it('follows the newest', async () => {
    const { page, source } = await show(3);
    await live(page);
    await page.keyboard.press('f');
    source.put(sampleExchange(4));
    await expect.poll(() => page.url(), WAIT).toContain(sampleId(4));
    await page.waitForSelector('.details');
  });

  it('hides the columns that are not wanted, at the next visit too', async () => {
    const { page } = await show(3);
    await page.click('summary:has-text("Columns")');
    await page.click('.menu-item:has-text("key")');
    // A box that is ticked is no text that is typed.
    await page.keyboard.press('j');
    await expect.poll(() => focused(page), WAIT).toContain('row-');
    await page.reload();
    await page.waitForSelector('.row');
    expect(await page.locator('[role=columnheader]').allTextContents()).not.toContain('key');
  });

  it('in a narrow window shows the list, or one exchange, and Back leads to the row', async () => {
    const { page } = await show(30, { viewport: { width: 420, height: 800 } });
    const width = await page.evaluate<number>('document.documentElement.scrollWidth');
    expect(width).toBeLessThanOrEqual(420);
    const grid = await page.evaluate<number>(`
      Math.max(...[...document.querySelectorAll('.row .cell')].map((cell) => cell.getBoundingClientRect().right))`);
    expect(grid).toBeLessThanOrEqual(420);
    await page.click(row(25));
    await page.waitForSelector('.details');
    expect(await page.isVisible('.grid')).toBe(false);
    await page.goBack();
    await expect.poll(() => page.isVisible(row(25)), WAIT).toBe(true);
  });

  it('shows hostile text as text', async () => {
    const hostile = [
      '</script><script>document.title = "bad"</script>',
      '<img src=x onerror="document.title = `bad`">',
      '\u202egnp.exe\u202c \u2066x',
      '\u001b[31mred\u0007\u0000',
      '\ud800 alone',
      'x'.repeat(100_000),
    ];
    const source = new HandMadeExchanges(
      hostile.map((text, at) => {
        const made = sampleExchange(at + 1);
        return {
          ...made,
          note: text,
          row: { ...made.row, model: text, keyLabel: text, status: 400, errorCode: 'X', errorMessage: text },
        };
      }),
    );
    const { link } = await serve(source);
    const page = await openPage(link);
    await page.waitForSelector('.row');
    expect(await count(page, '.row')).toBe(hostile.length);
    expect(await page.title()).toBe('bedrock-proxy inspect');
    expect(await count(page, '#page img, #page script')).toBe(0);
    expect(await page.textContent(`${row(1)} .second-line`)).toContain('</script><script>');
    const heights = await page.evaluate<number[]>(
      `[...document.querySelectorAll('.row')].map((row) => row.getBoundingClientRect().height)`,
    );
    expect(new Set(heights)).toEqual(new Set([44]));
    await page.click(row(2));
    await page.waitForSelector('.details');
    expect(await page.title()).toBe('bedrock-proxy inspect');
    expect(await scrollTop(page)).toBe(0);
  });

  it('tells screen readers what is new, at most every five seconds', async () => {
    const { page, source } = await show(1);
    await live(page);
    for (let number = 2; number <= 15; number += 1) source.put(sampleExchange(number));
    await expect.poll(() => page.textContent('[aria-live=polite]'), WAIT).toMatch(/^14 new requests, \d+ failed$/);
  });
});
