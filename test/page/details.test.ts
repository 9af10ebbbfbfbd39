/**
 * Everything about one exchange in a real Chromium, over a server with the offline Bedrock.
 * @module-tag slow
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { judge } from '../helpers/inspector-page.ts';
import { launchServer, openWorkplace, type RunningServer, type Workplace } from '../helpers/program.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const CHROMIUM = (process.env['PATH'] ?? '')
  .split(':')
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find((path) => existsSync(path));
const TOKEN = 'a-token-of-thirty-two-characters';
const TABS = ['Messages', 'Request', 'Response', 'Frames', 'Timing', 'Signing', 'Cache'];
const NOVA = 'amazon.nova-lite-v1:0';
const HOSTILE = '</script><img src=x onerror=alert(1)><svg onload=alert(2)>\u202E\u0000"&lt;';
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
const TOOL = { toolSpec: { name: 'read_file', description: HOSTILE, inputSchema: { json: { type: 'object' } } } };

function converse(words: string): object {
  return {
    system: [{ text: 'You are careful.' }, { cachePoint: { type: 'default' } }],
    messages: [
      { role: 'user', content: [{ text: words }, { image: { format: 'png', source: { bytes: PIXEL } } }] },
      { role: 'assistant', content: [{ toolUse: { toolUseId: 't1', name: 'read_file', input: { path: HOSTILE } } }] },
      { role: 'user', content: [{ toolResult: { toolUseId: 't1', content: [{ text: HOSTILE }], status: 'error' } }] },
    ],
    inferenceConfig: { maxTokens: 200 },
    toolConfig: { tools: [TOOL] },
  };
}

const text = async (page: Page): Promise<string> => (await page.textContent('#tab-panel')) ?? '';
const shows = (page: Page, wanted: string | RegExp): Promise<void> =>
  expect.poll(() => text(page), { timeout: 15_000 }).toMatch(wanted);
const picture = async (page: Page, name: string): Promise<void> => {
  const folder = process.env['PICTURES_OF_TESTS'];
  if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`) });
};

describe.skipIf(CHROMIUM === undefined)('one exchange in a browser (needs Chromium)', { timeout: 90_000 }, () => {
  let browser: Browser;
  let place: Workplace;
  let server: RunningServer;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox'] });
    place = await openWorkplace();
    const environment = { ...place.environment, BEDROCK_PROXY_INSPECT_TOKEN: TOKEN };
    server = await launchServer(['--offline', '--inspect'], environment);
  }, 60_000);
  afterAll(async () => {
    await browser.close();
    await server[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  /** A request, and the id of its exchange. `isWaited`: until the response is over. */
  async function ask(path: string, body: object, isWaited = true): Promise<string> {
    const response = await fetch(`http://localhost:${server.port}/bedrock/model/${path}`, {
      method: 'POST',
      headers: { authorization: 'Bearer anything', 'content-type': 'application/json', 'x-note': HOSTILE.slice(0, 40) },
      body: JSON.stringify(body),
    });
    const rest = response.arrayBuffer().catch(() => {});
    if (isWaited) await rest;
    return response.headers.get('x-bedrock-proxy-request-id') ?? '';
  }

  /** The page with this exchange. Nothing may be said in the console, but what `expected` says. */
  async function open(
    id: string,
    { tab = 'messages', width = 1_440, scheme = 'light' as 'light' | 'dark', expected = /^$/ } = {},
  ): Promise<Page> {
    const context = await browser.newContext({
      viewport: { width, height: 900 },
      colorScheme: scheme,
      permissions: ['clipboard-read', 'clipboard-write'],
      acceptDownloads: true,
    });
    const page = await context.newPage();
    const problems: string[] = [];
    const note = (said: string): void => void (expected.test(said) || problems.push(said));
    page.on('console', (message) => message.type() === 'error' && note(message.text()));
    page.on('pageerror', (error) => note(String(error)));
    page.on('dialog', (dialog) => note(dialog.message()));
    page.on('request', (request) => {
      if (!/^(http:\/\/localhost:|blob:)/.test(request.url())) note(request.url());
    });
    onTestFinished(async () => {
      await context.close();
      expect(problems).toEqual([]);
    });
    await page.goto(`http://localhost:${server.port}/inspect/#t=${TOKEN}`);
    await page.waitForSelector('.row');
    await page.evaluate(`location.hash = '#/${id}/${tab}'`);
    await page.waitForSelector('.tabs');
    return page;
  }

  it.each([
    ['light', 1_440],
    ['dark', 900],
    ['dark', 420],
  ] as const)('shows hostile content as text in every tab, to everybody (%s, %i)', async (scheme, width) => {
    const id = await ask(`${NOVA}/converse-stream`, converse(HOSTILE));
    const page = await open(id, { scheme, width });
    for (const tab of TABS) {
      await page.getByRole('tab', { name: tab }).click();
      await expect.poll(() => text(page)).not.toMatch(/^(Loading …)?$/);
      await picture(page, `${tab}-${width}-${scheme}`);
      expect(await judge(page), tab).toEqual([]);
      const wide = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
      expect(wide, tab).toBeLessThanOrEqual(0);
    }
    expect(await page.locator('.details img:not([src^="blob:"]), .details script').count()).toBe(0);
  });

  it('puts system, tools, turns, pictures, cache points and the stop reason together', async () => {
    const page = await open(await ask(`${NOVA}/converse-stream`, converse(`Hello ${HOSTILE}`)));
    await shows(page, /maxTokens 200/i);
    await shows(page, /cache point/);
    await shows(page, /tool call read_file/);
    await shows(page, /tool failed/);
    await shows(page, /stop (end_turn|tool_use|max_tokens)/);
    await page.waitForSelector('.block-media img[src^="blob:"]');
    expect(await text(page)).toContain('<img src=x onerror=alert(1)>');
    // A value of JSON cannot look like another one.
    expect((await page.locator('.json-text').allTextContents()).join('\n')).toContain(String.raw`\u202e`);
  });

  it('is walked through by keys alone, and gives the keyboard back after a dialog', async () => {
    const page = await open(await ask(`${NOVA}/converse-stream`, converse('keys')));
    for (const [at, name] of TABS.entries()) {
      await page.keyboard.press(String(at + 1));
      await page.waitForSelector(`[role=tab][aria-selected=true]:has-text("${name}")`);
    }
    await page.keyboard.press(']');
    await page.waitForSelector('[aria-selected=true]:has-text("Messages")');
    await page.keyboard.press('[');
    await page.waitForSelector('[aria-selected=true]:has-text("Cache")');
    await page.focus('#tab-cache');
    await page.keyboard.press('ArrowLeft');
    await expect.poll(() => page.evaluate('document.activeElement.id')).toBe('tab-signing');
    await page.focus('button:has-text("Edit and replay")');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog[open]');
    expect(await judge(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog[open]', { state: 'detached' });
    await expect.poll(() => page.evaluate('document.activeElement.textContent')).toBe('Edit and replay');
    await page.focus('summary:has-text("Copy as")');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.menu[open]');
    await page.keyboard.press('Escape');
    await page.waitForSelector('.menu[open]', { state: 'detached' });
    await page.waitForSelector('.tabs');
  });

  it('shows frames, opens one by Enter, and walks them by arrows', async () => {
    const page = await open(await ask(`${NOVA}/converse-stream`, converse('frames')), { tab: 'frames' });
    await shows(page, /AWS event stream.*complete/s);
    await page.focus('#frame-0');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.frame-details:has-text("contentBlockDelta"), .frame-details:has-text("contentBlock")');
    await shows(page, /:event-type/);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.frame-details', { state: 'detached' });
  });

  it.each([
    ['offline.stream-error-v1:0', /ended by an exception/, /modelStreamErrorException/],
    ['offline.reset-v1:0', /cut off/, /cut/],
  ])('marks what broke in a stream of %s', async (model, end, sign) => {
    const page = await open(await ask(`${model}/converse-stream`, converse('broken')), { tab: 'frames' });
    await shows(page, end);
    await shows(page, sign);
    await picture(page, `frames-${model}`);
    expect(await judge(page)).toEqual([]);
  });

  it('grows while one looks, in messages and in frames', async () => {
    const id = await ask('offline.slow-v1:0/converse-stream', converse('slow'), false);
    const page = await open(id);
    await shows(page, /more is coming/);
    await page.keyboard.press('4');
    await page.waitForSelector('.frame-row:nth-child(4)');
    const before = await page.getByRole('row').count();
    await expect.poll(() => page.getByRole('row').count(), { timeout: 20_000 }).toBeGreaterThan(before);
    await expect.poll(() => text(page), { timeout: 60_000 }).toMatch(/complete/);
    await page.keyboard.press('1');
    await shows(page, /stop end_turn|stop max_tokens/);
  });

  it('explains a refusal', async () => {
    const id = await ask('offline.throttle-v1:0/converse', converse('throttled'));
    const page = await open(id);
    await page.waitForSelector('.explanation li');
    expect(await page.textContent('.explanation')).toMatch(/Throttling/);
    // It is told once.
    await shows(page, /throttled/);
    expect(await page.locator('#tab-panel .problem').count()).toBe(0);
    expect(await judge(page)).toEqual([]);
    await picture(page, 'explanation');
  });

  it('edits, says where the JSON breaks, replays, and leads to the original', async () => {
    const page = await open(await ask(`${NOVA}/converse`, converse('first words')));
    await page.keyboard.press('e');
    const body = page.getByLabel('Body');
    await expect.poll(() => body.inputValue()).toContain('first words');
    const written = await body.inputValue();
    await body.fill(written.replace('"first words"', '"first words'));
    await page.waitForSelector('#replay-json:has-text("line ")');
    const send = page.locator('dialog[open] .button-main');
    expect(await send.isDisabled()).toBe(true);
    await body.fill(written.replace('first words', 'other words'));
    await page.waitForSelector('dialog[open] ins:has-text("other words")');
    await picture(page, 'edit');
    expect(await judge(page)).toEqual([]);
    await send.click();
    await page.waitForSelector('.turns:has-text("edited replay of")');
    await page.getByRole('button', { name: 'Compare with the original' }).click();
    await page.waitForSelector('.difference ins:has-text("other")');
    // What was not edited has kept its bytes.
    expect(await page.locator('.diff-changed').count()).toBe(1);
    expect(await judge(page)).toEqual([]);
    await picture(page, 'replayed');
  });

  it('copies, saves, notes, and deletes', async () => {
    const page = await open(await ask(`${NOVA}/converse`, converse("it's")), { expected: /404/ });
    for (const name of ['curl, through the proxy', 'PowerShell', 'AWS CLI', 'boto3', 'JavaScript']) {
      await page.click('summary:has-text("Copy as")');
      await page.getByRole('button', { name, exact: true }).click();
      await page.waitForSelector('.details .notice:has-text("Copied")');
      const copied = await page.evaluate<string>('navigator.clipboard.readText()');
      expect(copied.length, name).toBeGreaterThan(100);
      expect(copied).not.toContain('Bearer anything');
    }
    await page.keyboard.press('2');
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByText('Save', { exact: true }).first().click(),
    ]);
    expect(readFileSync(await download.path(), 'utf8')).toContain('cachePoint');
    await page.getByRole('button', { name: 'hex' }).click();
    await shows(page, /000010 {2}/);
    await page.getByLabel('Note').fill('look here');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.row:has-text("look here"), [title*="look here"]');
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.waitForSelector('.details', { state: 'detached' });
  });

  it('says of an exchange that is gone that it is', async () => {
    await ask(`${NOVA}/converse`, converse('one'));
    const context = await browser.newContext();
    onTestFinished(() => context.close());
    const page = await context.newPage();
    await page.goto(`http://localhost:${server.port}/inspect/#t=${TOKEN}`);
    await page.waitForSelector('.row');
    await page.evaluate(`location.hash = '#/no-such-exchange/messages'`);
    await page.waitForSelector('.details .problem');
    await page.getByRole('button', { name: 'Back' }).click();
    await page.waitForSelector('.details', { state: 'detached' });
  });
});
