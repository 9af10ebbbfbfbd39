/** The browser of this machine, for tests of the page: no other one is fetched. */
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { tmpdir } from 'node:os';
import { type BrowserContextOptions, chromium, type BrowserContext, type Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Undefined: the machine has none. */
export const CHROMIUM = process.platform === 'linux' || process.platform === 'darwin' ? findChromium() : undefined;

function findChromium(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A browser with a profile of its own, which is removed when it is closed. */
async function openBrowser(options: BrowserContextOptions = {}): Promise<BrowserContext> {
  const folder = mkdtempSync(join(tmpdir(), 'browser-'));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: CHROMIUM ?? 'chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    viewport: { width: 1_440, height: 900 },
    timezoneId: 'UTC',
    locale: 'en-US',
    colorScheme: 'light',
    ...options,
  });
  context.on('close', () => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  await context.addInitScript(
    `addEventListener('securitypolicyviolation', (event) =>
       console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI));`,
  );
  return context;
}

/** A page of which no error may come, but for those that a test expects. The browser is closed after the test. */
export async function openPage(
  url: string,
  { expected = /^$/, ...options }: BrowserContextOptions & { readonly expected?: RegExp } = {},
): Promise<Page> {
  const context = await openBrowser(options);
  const problems: string[] = [];
  const note = (text: string): void => void (expected.test(text) || problems.push(text));
  const page = context.pages()[0] ?? (await context.newPage());
  page.on('console', (message) => (message.type() === 'error' ? note(message.text()) : undefined));
  page.on('pageerror', (error) => note(String(error)));
  onTestFinished(async () => {
    await context.close();
    expect(problems).toEqual([]);
  });
  await page.goto(url);
  return page;
}
