// The proxy under test: the built program as users start it, on the offline Bedrock, with a home and a database of its own.
// It demands keys, because there is one before it starts. Its log, one JSON line a request, tells which client really came
// through it, and how.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

const START_LIMIT_MS = 60_000;
const END_LIMIT_MS = 10_000;

/**
 * Starts it on a free port. With `tls` it serves https too, and `caFile` is what clients shall trust. `end` ends it and
 * gives the lines of its log by the alias of the key that was shown.
 */
export async function startProxy({ root, folder, tls, signal }) {
  const database = join(folder, 'proxy', 'keys.db');
  mkdirSync(dirname(database));
  const program = join(root, 'bin', 'bedrock-proxy.js');
  const env = { PATH: process.env['PATH'], HOME: dirname(database) };
  const runProgram = (words, stdio) => spawn(process.execPath, [program, ...words], { env, cwd: folder, stdio });
  const makeKey = async (alias) => {
    const child = runProgram(['key', 'generate', '--json', '--alias', alias, '--db', database], ['ignore', 'pipe', 'inherit']);
    const { key, access_key_id: accessKeyId } = JSON.parse(await text(child.stdout));
    return { key, accessKeyId };
  };
  await makeKey('first');
  const words = ['start', '--offline', '--port', '0', '--log-format', 'json', '--db', database, ...(tls ? ['--tls'] : [])];
  const child = runProgram(words, ['ignore', 'pipe', 'pipe']);
  const ended = once(child, 'exit');
  const stop = () => child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  const seen = collectLog(child.stdout);
  const port = await findPort(child);
  return {
    url: `http://localhost:${port}/bedrock`,
    tlsUrl: `https://localhost:${port}/bedrock`,
    caFile: join(dirname(database), 'tls-ca.pem'),
    makeKey,
    end: async () => {
      child.kill('SIGTERM');
      const killer = setTimeout(stop, END_LIMIT_MS);
      await ended;
      clearTimeout(killer);
      signal.removeEventListener('abort', stop);
      return seen;
    },
  };
}

/** Reads the port from the banner on standard error. */
async function findPort(child) {
  let banner = '';
  const limit = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS);
  for await (const bytes of child.stderr) {
    banner += String(bytes);
    const port = /^\s*address\s+https?:\/\/[^/\s]+:(\d+)\//m.exec(banner)?.[1];
    if (port === undefined) continue;
    clearTimeout(limit);
    child.stderr.resume();
    return port;
  }
  throw new Error(`the proxy did not start:\n${banner}`);
}

function collectLog(output) {
  const seen = new Map();
  createInterface({ input: output }).on('line', (line) => {
    const entry = JSON.parse(line);
    const entries = seen.get(entry.key) ?? [];
    seen.set(entry.key, [...entries, entry]);
  });
  return seen;
}
