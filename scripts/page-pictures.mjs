// Pictures of the inspector's page for the docs, from a real proxy that serves the offline Bedrock. `npm run pictures`
// writes those of docs/pictures; `npm run pictures -- --all FOLDER` writes every state at every width, dark and light,
// to be looked at. Wants a Chromium on the PATH.
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MASTER = 'sk-pictures-0123456789abcdef';
const TOKEN = 'pictures-pictures-pictures';
const MODEL = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const WIDTHS = [1440, 900, 420];
const SCHEMES = /** @type {const} */ (['light', 'dark']);

/** What docs/pictures holds: name, width, scheme, and what is done on the page before. */
const PICTURES = /** @type {const} */ ([
  ['messages', 1440, 'light', open('converse-stream')],
  ['frames', 1440, 'dark', open('converse-stream', 'frames')],
  ['cache', 1440, 'light', open('cache changed', 'cache')],
  ['error', 900, 'light', open('ValidationException')],
  ['usage', 1440, 'dark', `location.hash = '#/usage'`],
  ['narrow', 420, 'dark', ''],
]);

/**
 * Opens the first row that says this.
 *
 * @param {string} words
 */
function open(words, tab = 'messages') {
  const row = `(row) => row.textContent.includes(${JSON.stringify(words)})`;
  return `[...document.querySelectorAll('.row')].find(${row})?.click();
    setTimeout(() => document.getElementById('tab-${tab}')?.click(), 300)`;
}

/** The first of these names on the PATH. */
function findChromium() {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        // The next one.
      }
    }
  }
  throw new Error('There is no Chromium on the PATH.');
}

async function startProxy() {
  const home = mkdtempSync(join(tmpdir(), 'pictures-'));
  const args = ['bin/bedrock-proxy.js', 'start', '--offline', '--inspect', '--port', '0', '--json'];
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    TZ: 'UTC',
    BEDROCK_PROXY_MASTER_KEY: MASTER,
    BEDROCK_PROXY_INSPECT_TOKEN: TOKEN,
  };
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'ignore'] });
  /** @type {string} */
  const line = await new Promise((resolve, reject) => {
    child.stdout.once('data', (data) => resolve(String(data)));
    child.once('exit', () => reject(new Error('The proxy did not start.')));
  });
  const { url } = JSON.parse(line.split('\n')[0] ?? '');
  return {
    url,
    origin: new URL(url).origin,
    end: () => (child.kill(), rmSync(home, { recursive: true, force: true })),
  };
}

/** @param {string} url */
function openClient(url) {
  let key = MASTER;
  /**
   * @param {string} path
   * @param {unknown} body
   */
  const post = async (path, body) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return response.arrayBuffer();
  };
  return {
    post,
    /** @param {string} given */
    as: (given) => void (key = given),
  };
}

/**
 * One request of each kind.
 *
 * @param {{ url: string, origin: string }} server
 */
async function makeTraffic({ url, origin }) {
  const client = openClient(url);
  const headers = { authorization: `Bearer ${MASTER}`, 'content-type': 'application/json' };
  const made = await fetch(`${origin}/key/generate`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ key_alias: 'alice', max_budget: 20, budget_duration: '30d', rpm_limit: 600 }),
  });
  const { key } = /** @type {{ key: string }} */ (await made.json());
  client.as(key);
  await client.post('/model/amazon.titan-embed-text-v2:0/invoke', { inputText: 'Where does the money go?' });
  await client.post('/model/amazon.nova-lite-v1:0/converse', say('Say hello in three languages.'));
  await client.post('/model/anthropic.claude-sonnet-4-5-20250929-v1:0/converse', say('Hello'));
  const rules = 'Answer with care, and name the line of each thing that you find. '.repeat(90);
  for (const minute of ['12:04', '12:05']) {
    const system = [{ text: `It is ${minute}. ${rules}` }, { cachePoint: { type: 'default' } }];
    await client.post(`/model/${MODEL}/converse`, { system, ...say('Is there a bug in the parser?') });
  }
  await client.post(`/model/${MODEL}/converse-stream`, {
    system: [{ text: 'You are a careful reviewer.' }],
    ...say(
      'Where is the bug in this function?\n\nfor (let at = 0; at <= items.length; at += 1) total += items[at].price;',
    ),
    toolConfig: {
      tools: [
        { toolSpec: { name: 'read_file', description: 'Reads a file.', inputSchema: { json: { type: 'object' } } } },
      ],
    },
  });
}

/** @param {string} text */
function say(text) {
  return { messages: [{ role: 'user', content: [{ text }] }], inferenceConfig: { maxTokens: 500 } };
}

const all = process.argv[2] === '--all' ? process.argv[3] : undefined;
const folder = all ?? join(ROOT, 'docs', 'pictures');
mkdirSync(folder, { recursive: true });
const server = await startProxy();
const browser = await chromium.launch({ executablePath: findChromium(), args: ['--no-sandbox'] });

/**
 * @param {string} name
 * @param {number} width
 * @param {'light' | 'dark'} scheme
 * @param {string} script
 */
async function take(name, width, scheme, script, token = MASTER) {
  const viewport = { width, height: width < 600 ? 760 : 800 };
  const page = await browser.newPage({ viewport, colorScheme: scheme, timezoneId: 'UTC' });
  await page.goto(`${server.origin}/inspect/#t=${token}`);
  await page.waitForTimeout(700);
  if (script !== '') await page.evaluate(script);
  await page.waitForTimeout(900);
  await page.waitForFunction(`!document.body.textContent.includes('Loading …')`);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await page.close();
}

/** @param {string} state @param {string} script */
async function takeEvery(state, script, token = MASTER) {
  for (const width of WIDTHS) {
    for (const scheme of SCHEMES) await take(`${state}-${width}-${scheme}`, width, scheme, script, token);
  }
}

if (all === undefined) {
  await makeTraffic(server);
  for (const [name, width, scheme, script] of PICTURES) await take(name, width, scheme, script);
} else {
  await takeEvery('refused', '', 'no-such-token-at-all');
  await takeEvery('empty', '');
  await openClient(server.url).post('/model/amazon.nova-lite-v1:0/converse', say('Hello'));
  await takeEvery('one', '');
  await makeTraffic(server);
  await takeEvery('full', '');
  for (const tab of ['messages', 'request', 'response', 'frames', 'timing', 'signing', 'cache']) {
    await takeEvery(tab, open(tab === 'cache' ? 'cache changed' : 'converse-stream', tab));
  }
  await takeEvery('error', open('ValidationException'));
  await takeEvery('keys', `location.hash = '#/keys'`);
  await takeEvery('usage', `location.hash = '#/usage'`);
}
await browser.close();
server.end();
