/**
 * Replay, edit-and-replay and comparison in a browser, through a whole proxy whose callers have keys.
 * @module-tag slow
 */
import type { Page } from 'playwright-core';
import { beforeEach, describe, expect } from 'vitest';
import type { MintedKey } from '../../src/keys/mint.ts';
import { CHROMIUM } from '../helpers/browser.ts';
import { sendJson } from '../helpers/fake-upstream.ts';
import { converse, goTo, judge, openInspectorPage, passThrough, readFocus, WAIT } from '../helpers/inspector-page.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const { it, testbed } = proxyTest({ config: { inspect: true } });
const ask = (words: string): { messages: object[] } => ({ messages: [{ role: 'user', content: [{ text: words }] }] });
const answer = (words: string): object => ({ role: 'assistant', content: [{ text: words }] });

const S3 = { s3OutputDataConfig: { s3Uri: 's3://bucket' } };

let alice: MintedKey;
let bob: MintedKey;
beforeEach(async () => {
  [alice, bob] = [await testbed.mint('alice'), await testbed.mint('bob')];
  testbed.upstream.respondWith((_request, response) =>
    sendJson(response, 200, {
      output: { message: answer('It is a pixel.') },
      stopReason: 'end_turn',
      usage: { inputTokens: 10, outputTokens: 4, totalTokens: 14 },
    }),
  );
});

const pass = (body: unknown, path = converse('converse')): Promise<string> =>
  passThrough(testbed, path, body, alice.key);
const mainButton = (page: Page): ReturnType<Page['locator']> => page.locator('dialog[open] .button-main');

describe.skipIf(CHROMIUM === undefined)('a replay in a browser (needs Chromium)', { timeout: 90_000 }, () => {
  it('is charged to the key that one chooses, with what it may cost on the button', async () => {
    const id = await pass(ask('What is it?'));
    const page = await openInspectorPage(testbed, `#/${id}/messages`);
    await page.click('.toolbar >> text=Replay >> nth=0');
    await page.waitForSelector('#replay-key option', { state: 'attached' });
    expect(await page.locator('#replay-key option').allTextContents()).toEqual(['alice', 'bob']);
    expect(await mainButton(page).textContent()).toMatch(/^Send · about <?\$/);
    await page.selectOption('#replay-key', bob.id);
    const ended = testbed.nextRecord();
    await mainButton(page).click();
    expect(await ended).toMatchObject({ principal: { kind: 'key', keyId: bob.id } });
    await page.waitForSelector('.details >> text=Compare with the original');
    expect(page.url()).toContain((await ended).id);
    const [first, second] = testbed.upstream.requests;
    expect(second?.body).toEqual(first?.body);
  });

  it.for([
    { text: '{"messages": [}', where: 'line 1, column 15' },
    { text: '{\n  "messages": oops\n}', where: 'line 2, column 15' },
    { text: '{\n  "messages": [\n', where: 'line 3, column 1' },
    { text: '{"a": "b" "c": 1}', where: 'line 1, column 11' },
  ])('is not sent with broken JSON: $where', async ({ text, where }) => {
    const page = await openInspectorPage(testbed, `#/${await pass(ask('one'))}/messages`);
    await page.click('text=Edit and replay');
    await expect.poll(() => page.inputValue('#replay-body'), WAIT).toContain('"one"');
    await page.fill('#replay-body', text);
    expect(await page.textContent('#replay-json')).toContain(where);
    expect(await page.getAttribute('#replay-body', 'aria-invalid')).toBe('true');
    expect(await mainButton(page).isDisabled()).toBe(true);
    expect(testbed.upstream.requests).toHaveLength(1);
  });

  it('wants to be confirmed if it is no call of a model', async () => {
    const job = { modelId: 'amazon.nova-reel-v1:0', modelInput: {}, outputDataConfig: S3 };
    testbed.upstream.respondWith((_request, response) => sendJson(response, 200, { invocationArn: 'arn:aws:x' }));
    const id = await pass(job, '/async-invoke');
    const page = await openInspectorPage(testbed, `#/${id}/request`);
    await page.waitForSelector('.toolbar');
    await page.keyboard.press('r');
    await page.waitForSelector('dialog[open] [type=checkbox]');
    expect(await mainButton(page).isDisabled()).toBe(true);
    expect(await judge(page)).toEqual([]);
    await page.check('dialog[open] [type=checkbox]');
    const ended = testbed.nextRecord();
    await mainButton(page).click();
    await ended;
    expect(testbed.upstream.requests).toHaveLength(2);
  });

  it('says what the proxy has against it, and stays open', async () => {
    const page = await openInspectorPage(testbed, `#/${await pass(ask('one'))}/messages`, { expected: /400|ERR_/ });
    await page.waitForSelector('.toolbar');
    await page.keyboard.press('e');
    await expect.poll(() => page.inputValue('#replay-body'), WAIT).toContain('"one"');
    await page.fill('#replay-target', '/key/generate');
    await mainButton(page).click();
    await page.waitForSelector('dialog[open] [role=alert]');
    expect(testbed.upstream.requests).toHaveLength(1);
  });

  it('gives the keyboard back, however it is closed', async () => {
    const page = await openInspectorPage(testbed, `#/${await pass(ask('one'))}/messages`);
    const title = 'Edit and replay';
    for (const leave of [() => page.keyboard.press('Escape'), () => page.click('dialog[open] >> text=Cancel')]) {
      await page.focus(`button:has-text("${title}")`);
      await page.keyboard.press('Enter');
      await page.waitForSelector('dialog[open]');
      await leave();
      await page.waitForSelector('.dialog-wide', { state: 'detached' });
      await expect.poll(() => readFocus(page), WAIT).toBe(title);
    }
  });

  it('is compared with the turn before, and with the pinned one', async () => {
    const first = await pass(ask('What is it?'));
    const turns = [...ask('What is it?').messages, answer('It is a pixel.'), ...ask('Which colour?').messages];
    const second = await pass({ messages: turns });
    const page = await openInspectorPage(testbed, `#/${second}/messages`);
    await page.click('text=Diff with the turn before');
    await page.waitForSelector('.diff-part');
    expect(await page.textContent('.difference')).toContain('Which colour?');
    await page.click('.difference >> text=Close');
    expect(await page.locator('.difference').count()).toBe(0);
    await goTo(page, `#/${first}/messages`);
    await page.click('.toolbar >> text=Pin');
    await page.waitForSelector('.toolbar >> text=★ Pinned');
    await goTo(page, `#/${second}/messages`);
    await page.click('text=Diff with #1');
    await page.waitForSelector('.diff-part');
    expect(await judge(page)).toEqual([]);
    await page.click('text=the other request');
    await expect.poll(() => page.url(), WAIT).toContain(first);
  });
});
