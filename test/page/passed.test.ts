/**
 * What has passed a whole proxy, as the page shows it: both sides of the proxy, with credentials masked; hostile
 * content as text.
 * @module-tag slow
 */
import type { ServerResponse } from 'node:http';
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, onTestFinished } from 'vitest';
import type { MintedKey } from '../../src/keys/mint.ts';
import { CHROMIUM, openPage } from '../helpers/browser.ts';
import { HandMadeExchanges, startInspected } from '../helpers/inspected.ts';
import { keptBody } from '../helpers/kept-exchange.ts';
import { sampleExchange } from '../helpers/sample-exchanges.ts';
import { eventFrame, exceptionFrame, startEventStream } from '../helpers/event-frames.ts';
import { sendJson } from '../helpers/fake-upstream.ts';
import { converse, openInspectorPage, passThrough, postTo, readFocus, WAIT } from '../helpers/inspector-page.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const { it, testbed } = proxyTest({ config: { inspect: true, cacheDoctor: true } });
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const HOSTILE = '</script><img src=x onerror="document.title=1"> \u202egnp \u001b[31mred\u0007 \ud800 alone';
const TABS = ['messages', 'request', 'response', 'frames', 'timing', 'signing', 'cache'];

let alice: MintedKey;
beforeEach(async () => {
  alice = await testbed.mint('alice');
  testbed.upstream.respondWith((_request, response) => stream(response, FRAMES));
});

const FRAMES = [
  eventFrame('messageStart', { role: 'assistant' }),
  eventFrame('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'Let me think.' } } }),
  eventFrame('contentBlockStop', { contentBlockIndex: 0 }),
  eventFrame('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'It is ' } }),
  eventFrame('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'a pixel.' } }),
  eventFrame('contentBlockStop', { contentBlockIndex: 1 }),
  eventFrame('contentBlockStart', {
    contentBlockIndex: 2,
    start: { toolUse: { toolUseId: 'tooluse_2', name: 'magnify' } },
  }),
  eventFrame('contentBlockDelta', { contentBlockIndex: 2, delta: { toolUse: { input: '{"factor":' } } }),
  eventFrame('contentBlockDelta', { contentBlockIndex: 2, delta: { toolUse: { input: '17}' } } }),
  eventFrame('contentBlockStop', { contentBlockIndex: 2 }),
  eventFrame('messageStop', { stopReason: 'tool_use' }),
  eventFrame('metadata', {
    usage: { inputTokens: 20, outputTokens: 8, totalTokens: 28 },
    metrics: { latencyMs: 42 },
  }),
];

function stream(response: ServerResponse, frames: readonly Buffer[]): void {
  startEventStream(response);
  for (const frame of frames) response.write(frame);
  response.end();
}

const image = (format: string, bytes: string): object => ({ image: { format, source: { bytes } } });
const ask = (...content: object[]): object => ({
  system: [{ text: 'You look at pictures.' }, { cachePoint: { type: 'default' } }],
  messages: [{ role: 'user', content }],
  inferenceConfig: { maxTokens: 64 },
});
const PICTURE = ask({ text: 'What is it?' }, image('png', PIXEL));

const passPicture = (): Promise<string> => passThrough(testbed, converse('converse-stream'), PICTURE, alice.key);

describe.skipIf(CHROMIUM === undefined)(
  'what has passed the proxy, in a browser (needs Chromium)',
  { timeout: 90_000 },
  () => {
    it('shows what was said: thinking, text, a call of a tool, a picture, why it stopped', async () => {
      const id = await passPicture();
      const page = await openInspectorPage(testbed, `#/${id}/messages`);
      await page.waitForSelector('.turn-assistant');
      expect(await page.textContent('.messages')).toContain('You look at pictures.');
      expect(await page.textContent('.turn-user')).toContain('What is it?');
      expect(await page.locator('.block-cache').count()).toBe(1);
      const answer = await page.textContent('.turn-assistant');
      expect(answer).toContain('thinking · 13 characters');
      expect(answer).toContain('It is a pixel.');
      expect(answer).toContain('magnify');
      expect(answer).toContain('factor: 17');
      expect(await page.textContent('.stop')).toContain('tool_use');
      expect(await page.getAttribute('.block-media img', 'src')).toMatch(/^blob:/);
      await expect.poll(() => page.evaluate<number>(`document.querySelector('.block-media img').naturalWidth`)).toBe(1);
    });

    it('shows both layers of the request, with what is secret masked', async () => {
      const id = await passPicture();
      const page = await openInspectorPage(testbed, `#/${id}/request`);
      await page.waitForSelector('.json-branch');
      const text = (await page.textContent('.message')) ?? '';
      expect(text).toContain('from the client');
      expect(text).toContain('signed, to AWS');
      expect(text).not.toContain(alice.key);
      expect(text).not.toMatch(/Signature=[0-9a-f]{64}/);
      expect(await page.locator('.header-own').count()).toBeGreaterThan(1);
      await page.click('#tab-signing');
      await page.waitForSelector('.signing');
      const signing = (await page.textContent('.signing')) ?? '';
      expect(signing).toContain('AWS Signature Version 4');
      expect(signing).toContain('us-east-1/bedrock/aws4_request');
      expect(signing).toContain('AWS4-HMAC-SHA256');
      expect(signing).not.toContain('wJalrXUtnFEMI');
    });

    it('shows a body as a tree that folds, as text and as bytes, and saves it', async () => {
      const id = await passPicture();
      const page = await openInspectorPage(testbed, `#/${id}/request`);
      await page.waitForSelector('.json-branch');
      const before = await page.locator('.json-line').count();
      await page.click('.json-fold >> nth=0');
      expect(await page.getAttribute('.json-fold >> nth=0', 'aria-expanded')).toBe('false');
      expect(await page.locator('.json-line').count()).toBeLessThan(before);
      await page.click('.body-modes >> text=raw');
      expect(await page.textContent('.body pre')).toBe(JSON.stringify(PICTURE));
      await page.click('.body-modes >> text=hex');
      expect(await page.textContent('.body pre')).toMatch(/^000000 {2}7b 22 73 79 .* {2}\{"system":\[\{"tex/);
      const [saved] = await Promise.all([page.waitForEvent('download'), page.click('.body-modes >> text=Save')]);
      expect(readFileSync(await saved.path(), 'utf8')).toBe(JSON.stringify(PICTURE));
    });

    it('shows every frame with its checksum, and one in full', async () => {
      const id = await passPicture();
      const page = await openInspectorPage(testbed, `#/${id}/frames`);
      await page.waitForSelector('#frame-11');
      expect(await page.textContent('.frames')).toContain('AWS event stream · 12 frames · complete');
      expect(await page.locator('.frame-row .cell:nth-child(6)').allTextContents()).toEqual([
        'crc',
        ...FRAMES.map(() => 'ok'),
      ]);
      expect(await page.locator('.frame-bad').count()).toBe(0);
      await page.focus('#frame-0');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('ArrowDown');
      await expect.poll(() => readFocus(page), WAIT).toBe('frame-2');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await page.waitForSelector('.frame-details');
      expect(await page.textContent('.frame-details')).toContain(':event-type');
      expect(await page.textContent('.frame-details')).toContain('It is ');
      expect(await page.getAttribute('.row-selected.frame-row', 'id')).toBe('frame-3');
    });

    it('marks the exception that ended a stream', async () => {
      const broken = [...FRAMES.slice(0, 4), exceptionFrame('throttlingException', 'Slow down.')];
      testbed.upstream.respondWith((_request, response) => stream(response, broken));
      const id = await passPicture();
      const page = await openInspectorPage(testbed, `#/${id}/frames`);
      await page.waitForSelector('.frame-bad');
      expect(await page.locator('.frame-bad').count()).toBe(1);
      expect(await page.textContent('.frame-bad')).toContain('Slow down.');
      expect(await page.textContent('.frames')).toContain('ended by an exception');
      expect(await page.textContent('.explanation')).toContain('Slow down.');
    });

    it('shows where the time went, and what the doctor says of the cache', async () => {
      const id = await passPicture();
      const page = await openInspectorPage(testbed, `#/${id}/timing`);
      await page.waitForSelector('.timing-plot');
      const text = (await page.textContent('.timing')) ?? '';
      expect(text).toContain('signing');
      expect(text).toContain('took the model, by AWS');
      expect(await page.locator('.timing-plot .step').count()).toBe(await page.locator('.figures tbody tr').count());
      await page.click('#tab-cache');
      await page.waitForSelector('.verdict');
      expect(await page.locator('.segments .segment').count()).toBeGreaterThan(0);
    });

    it('grows while one looks, before its end', async () => {
      let upstream: ServerResponse | undefined;
      testbed.upstream.respondWith((_request, response) => {
        upstream = response;
        startEventStream(response);
        for (const frame of FRAMES.slice(0, 4)) response.write(frame);
      });
      const ended = testbed.nextRecord();
      const response = await postTo(testbed, converse('converse-stream'), PICTURE, alice.key);
      const rest = response.arrayBuffer();
      const page = await openInspectorPage(testbed);
      await page.click('.row');
      await page.waitForSelector('.turn-assistant >> text=It is');
      expect(await page.textContent('.messages')).toContain('more is coming');
      upstream?.write(FRAMES[4]);
      await page.waitForSelector('.turn-assistant >> text=It is a pixel.');
      await page.click('#tab-frames');
      await page.waitForSelector('#frame-4');
      expect(await page.textContent('.frames')).toContain('more is coming');
      upstream?.write(FRAMES[5]);
      await page.waitForSelector('#frame-5');
      for (const frame of FRAMES.slice(6)) upstream?.write(frame);
      upstream?.end();
      await Promise.all([rest, ended]);
      await page.waitForSelector('.frames >> text=12 frames · complete');
      await page.click('#tab-messages');
      await page.waitForSelector('.stop');
      expect(await page.textContent('.messages')).not.toContain('more is coming');
    });

    it('fits a narrow window, tab by tab, and Back returns to the row', async () => {
      const id = await passPicture();
      const page = await openInspectorPage(testbed, '', { viewport: { width: 420, height: 800 } });
      await page.click(`#row-${id}`);
      for (const tab of TABS) {
        await page.click(`#tab-${tab}`);
        await page.waitForTimeout(150);
        expect(await page.evaluate<number>('document.documentElement.scrollWidth'), tab).toBeLessThanOrEqual(420);
      }
      await page.click('.button.back');
      await expect.poll(() => page.isVisible(`#row-${id}`), WAIT).toBe(true);
      expect(await page.locator('.details').count()).toBe(0);
    });

    it('shows hostile content as text, in every tab', async () => {
      testbed.upstream.respondWith((_request, response) =>
        sendJson(response, 200, {
          output: { message: { role: 'assistant', content: [{ text: HOSTILE }, { text: 'y'.repeat(5_000_000) }] } },
          stopReason: HOSTILE,
          usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
        }),
      );
      const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=2"/>').toString('base64');
      const id = await passThrough(
        testbed,
        converse('converse'),
        ask({ text: HOSTILE }, image('svg+xml', svg), { text: 'x'.repeat(100_000) }),
        alice.key,
      );
      const page = await openInspectorPage(testbed, `#/${id}/messages`);
      await page.waitForSelector('.turn-assistant');
      expect(await page.textContent('.turn-assistant')).toContain('</script><img src=x onerror=');
      expect(await page.textContent('.turn-assistant')).toContain('all 5000000 characters');
      expect(await page.locator('.block-media img').count()).toBe(0);
      for (const tab of TABS) {
        await page.click(`#tab-${tab}`);
        await page.waitForTimeout(400);
        expect(await page.locator('#page img, #page script').count(), tab).toBe(0);
      }
      await page.click('#tab-response');
      await page.click('.body-modes >> text=raw');
      await page.waitForSelector('text=Show more');
      expect(await page.title()).toBe('bedrock-proxy inspect');
    });

    it('tells what of a body is not kept', async () => {
      const source = new HandMadeExchanges([sampleExchange(1, { layers: withHole() })]);
      const inspected = await startInspected(source);
      onTestFinished(() => inspected.close());
      const page = await openPage(inspected.link, { expected: /ERR_/ });
      await page.click('.row');
      await page.click('#tab-request');
      await page.waitForSelector('.body .warn');
      expect(await page.textContent('.body .warn')).toContain('600 B from byte 200 on are not kept');
      expect(await page.isDisabled('.body-modes >> text=json')).toBe(true);
    });
  },
);

/** A request of 1,000 bytes, of which the middle is missing. */
function withHole(): ReturnType<typeof sampleExchange>['layers'] {
  const { layers } = sampleExchange(1);
  if (layers.clientRequest === undefined) throw new Error('a sample has a request');
  const body = keptBody([JSON.stringify('x'.repeat(998))], { hole: [200, 600] });
  return { ...layers, clientRequest: { ...layers.clientRequest, body } };
}
