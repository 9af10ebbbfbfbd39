/**
 * What the page shows of exchanges of every kind, over the real API: server-sent events, WebSockets, streams in both
 * directions, differences, exports, and what is not kept.
 * @module-tag slow
 */
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Exchange } from '../../src/inspector/exchange.ts';
import { CHROMIUM, openPage } from '../helpers/browser.ts';
import { eventFrame } from '../helpers/event-frames.ts';
import { HandMadeExchanges, startInspected } from '../helpers/inspected.ts';
import { type ExchangeParts, keptBody, keptExchange } from '../helpers/kept-exchange.ts';
import { goTo, WAIT } from '../helpers/inspector-page.ts';

const idOf = (number: number): string => `01a22465-0000-7000-8000-00000000000${number}`;
const made = (number: number, parts: ExchangeParts): Exchange =>
  keptExchange({ ...parts, id: idOf(number), sequence: number, row: { id: idOf(number), ...parts.row } });

/** The page with these, and the last of them on one of its tabs. */
async function show(exchanges: readonly Exchange[], tab: string): Promise<Page> {
  const inspected = await startInspected(new HandMadeExchanges(exchanges));
  onTestFinished(() => inspected.close());
  const page = await openPage(inspected.link, { expected: /404|ERR_/ });
  await page.waitForSelector('.row');
  await goTo(page, `#/${exchanges.at(-1)?.id ?? ''}/${tab}`);
  await page.waitForSelector('.details .tab-here');
  return page;
}

const text = (page: Page): Promise<string | null> => page.textContent('#tab-panel');
const shows = (page: Page, wanted: RegExp): Promise<void> => expect.poll(() => text(page), WAIT).toMatch(wanted);
const cells = (page: Page, column: number): Promise<string[]> =>
  page.locator(`.frame-row .cell:nth-child(${column})`).allTextContents();

const sse = (data: object): string => `event: ${Object(data).type as string}\ndata: ${JSON.stringify(data)}\n\n`;
const THOUGHT = [
  { type: 'message_start', message: { id: 'm', role: 'assistant', usage: { input_tokens: 3 } } },
  { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Let me think.' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'Forty-two.' } },
  { type: 'content_block_stop', index: 1 },
  { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 9 } },
  { type: 'message_stop' },
];
const SAID = { messages: [{ role: 'user', content: [{ text: 'What is it?' }] }] };

/** A turn under this system prompt. */
function turn(number: number, system: string, more: Partial<Exchange> = {}): Exchange {
  return made(number, { request: { system: [{ text: system }], ...SAID }, ...more });
}

describe.skipIf(CHROMIUM === undefined)('exchanges of every kind (needs Chromium)', { timeout: 60_000 }, () => {
  it('shows server-sent events one by one, and what they say together: thinking and text', async () => {
    const response = keptBody(THOUGHT.map(sse));
    const page = await show([made(1, { contentType: 'text/event-stream', request: SAID, response })], 'frames');
    await shows(page, /server-sent events · 9 frames · complete/);
    expect((await cells(page, 5)).join()).toContain('content_block_delta');
    await page.click('#tab-messages');
    await shows(page, /thinking · 13 characters/);
    await shows(page, /Forty-two\.[\s\S]*end_turn/);
  });

  it('shows a WebSocket in both directions, in the order of time', async () => {
    const response = keptBody([Buffer.from([0x81, 2, 0x68, 0x69])], { times: [20] });
    const masked = Buffer.from([0x81, 0x82, 1, 1, 1, 1, 0x79, 0x6f]);
    const page = await show(
      [
        made(1, {
          status: 101,
          responseHeaders: [['Upgrade', 'websocket']],
          response,
          clientStream: keptBody([masked], { times: [10] }),
        }),
      ],
      'frames',
    );
    await shows(page, /WebSocket · 2 frames/);
    const [, ...rows] = await page.locator('.frame-grid-duplex .frame-row').allTextContents();
    expect(rows).toEqual([expect.stringMatching(/→.*xn/), expect.stringMatching(/←.*hi/)]);
    await page.click('#frame-0');
    await expect.poll(() => page.textContent('.frame-details'), WAIT).toContain('masked');
  });

  it('shows an event stream in both directions', async () => {
    const clientStream = keptBody([eventFrame('chunk', { bytes: 'AAAA' })], { times: [10] });
    const response = keptBody([eventFrame('chunk', { bytes: 'BBBB' })], { times: [20] });
    const page = await show([made(1, { clientStream, response })], 'frames');
    await shows(page, /AWS event stream · 2 frames/);
    const [, ...rows] = await page.locator('.frame-grid-duplex .frame-row').allTextContents();
    expect(rows).toEqual([expect.stringMatching(/→.*AAAA/), expect.stringMatching(/←.*BBBB/)]);
  });

  it('tells the difference to the turn before, and to what is pinned', async () => {
    const conversation = { id: idOf(2), turn: 2, previous: idOf(2) };
    const page = await show(
      [turn(1, 'Be kind.', { isPinned: true }), turn(2, 'It is 12:04.'), turn(3, 'It is 12:05.', { conversation })],
      'messages',
    );
    await page.click('.toolbar >> text=Diff with the turn before');
    await page.waitForSelector('.difference .diff-part');
    expect(await page.textContent('.difference')).toMatch(/system changed at byte \d+/);
    expect(await page.locator('.difference del, .difference ins').allTextContents()).toEqual(['04', '05']);
    await page.click('.difference >> text=Close');
    await page.click('.toolbar >> text=Diff with #1');
    await page.waitForSelector('.difference del:has-text("kind")');
    await page.click('.difference >> text=the other request');
    await expect.poll(() => page.url(), WAIT).toContain(idOf(1));
  });

  it.each([
    { item: 'HAR', name: /\.har$/, holds: '"version":"1.2"' },
    { item: 'one HTML file', name: /\.html$/, holds: '<!doctype html>' },
    { item: 'NDJSON', name: /\.ndjson$/, holds: '"format":"bedrock-proxy-exchanges"' },
  ])('exports one as $item, without its texts', async ({ item, name, holds }) => {
    const response = keptBody([eventFrame('messageStop', { stopReason: 'end_turn' })]);
    const page = await show([made(1, { request: SAID, response })], 'messages');
    await page.click('.toolbar summary:has-text("Export")');
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.click(`.toolbar .menu-item:has-text("${item}")`),
    ]);
    expect(saved.suggestedFilename()).toMatch(name);
    const file = readFileSync(await saved.path(), 'utf8');
    expect(file.replaceAll(/"version": "/g, '"version":"')).toContain(holds);
    expect(file).not.toContain('What is it?');
  });

  it.each([
    { omitted: 'opt-out', says: 'asked that its content is not kept' },
    { omitted: 'evicted', says: 'made room for younger ones' },
    { omitted: 'memory', says: 'no room for its content' },
    { omitted: 'off', says: 'start the proxy with --inspect' },
  ] as const)('says why nothing is kept: $omitted', async ({ omitted, says }) => {
    const page = await show([made(1, { omitted })], 'messages');
    await expect.poll(() => page.textContent('.details .notice'), WAIT).toContain(says);
    await page.click('#tab-frames');
    await shows(page, /0 (?:frames|pieces)/);
  });

  it('says of a body which bytes are not there, and shows and saves the others as they are', async () => {
    const response = keptBody([`{"a":"${'x'.repeat(200)}"}`], { hole: [20, 100] });
    const page = await show([made(1, { contentType: 'application/json', response, request: SAID })], 'response');
    await shows(page, /100 B from byte 20 on are not kept \(size\)/);
    const [saved] = await Promise.all([page.waitForEvent('download'), page.click('.body-modes >> text=Save')]);
    expect(readFileSync(await saved.path()).length).toBe(108);
    await page.click('#tab-messages');
    await shows(page, /not kept whole: 100 bytes from 20 on are missing/);
  });
});
