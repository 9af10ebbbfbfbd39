/** The inspector's page over a whole proxy: requests that pass it, and what people do on the page. */
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';
import { openPage } from './browser.ts';
import type { Testbed } from './testbed.ts';

export const WAIT = { timeout: 15_000, interval: 50 };
const MODEL = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';

/** Sends it, reads the response to its end, and gives the id under which the page has it. */
export async function passThrough(testbed: Testbed, path: string, body: unknown, key: string): Promise<string> {
  const ended = testbed.nextRecord();
  const response = await postTo(testbed, path, body, key);
  await response.arrayBuffer().catch(() => undefined);
  return (await ended).id;
}

export function postTo(testbed: Testbed, path: string, body: unknown, key: string): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(`${testbed.url}${path}`, { method: 'POST', headers, body: text });
}

export function converse(operation: 'converse' | 'converse-stream', model = MODEL): string {
  return `/model/${encodeURIComponent(model)}/${operation}`;
}

/** The proxy of a test is closed before its browser is. */
const CLOSED = /ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_CONNECTION_REFUSED|status of 503/;

/** The page at this place, whose requests have come; no error may come. */
export async function openInspectorPage(
  testbed: Testbed,
  place = '',
  { expected = CLOSED, ...options }: Parameters<typeof openPage>[1] = {},
): Promise<Page> {
  const url = `http://127.0.0.1:${testbed.port}/inspect/#t=${testbed.inspectToken ?? ''}`;
  const page = await openPage(url, { expected, ...options });
  await page.waitForSelector('.row, .empty');
  if (place !== '') await goTo(page, place);
  return page;
}

/** As by a link to it. */
export async function goTo(page: Page, place: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(place)}`);
}

/** What axe has against the page, of which people could not get by. */
export async function judge(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    );
}

/** What has the keyboard, in words: its id, else its text. */
export function readFocus(page: Page): Promise<string> {
  return page.evaluate<string>('document.activeElement.id || document.activeElement.textContent.trim()');
}
