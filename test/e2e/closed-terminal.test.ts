/**
 * A terminal that is closed while a proxy runs in it: who asked for it, by `nohup` or `disown`, keeps the proxy.
 * @module-tag slow
 */
import { execFile, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findClosedPort } from '../helpers/ports.ts';
import { openWorkplace, run } from '../helpers/program.ts';
import { findPython } from '../helpers/python.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SCRIPT = fileURLToPath(new URL('close_terminal.py', import.meta.url));
const python = process.platform === 'win32' ? undefined : findPython('pty');

describe('a closed terminal', () => {
  it.skipIf(python === undefined).each([
    { how: 'nohup', line: 'nohup START >"$LOG" 2>&1 &', becomes: 'goes on' },
    { how: 'npm and nohup', line: 'nohup npm exec --offline -- START >"$LOG" 2>&1 &', becomes: 'goes on' },
    { how: 'disown', line: 'START & disown', becomes: 'goes on' },
    { how: 'a job in the background', line: 'START &', becomes: 'ended' },
    { how: 'the foreground', line: 'START', becomes: 'ended' },
  ])('with $how: the proxy $becomes', { timeout: 60_000 }, async ({ how, line, becomes }) => {
    const place = await openWorkplace();
    onTestFinished(() => place[Symbol.asyncDispose]());
    const port = await findClosedPort();
    const program = how.startsWith('npm') ? 'bedrock-proxy' : `${process.execPath} bin/bedrock-proxy.js`;
    const command = line.replace('START', `${program} start --offline --port ${port}`);
    const env = { ...place.environment, LOG: join(place.folder, 'log'), TERM: 'dumb' };
    const { stdout } = await promisify(execFile)(python ?? '', [SCRIPT, command, String(port)], { cwd: ROOT, env });
    await run(['stop'], place.environment);
    expect(stdout.trim()).toBe(becomes);
  });

  it.skipIf(process.platform === 'win32')('goes on after a hang-up without a terminal, and says so once', async () => {
    const place = await openWorkplace();
    onTestFinished(() => place[Symbol.asyncDispose]());
    const log = join(place.folder, 'log');
    const file = openSync(log, 'w');
    const args = ['bin/bedrock-proxy.js', 'start', '--offline', '--port', '0'];
    const child = spawn(process.execPath, args, { cwd: ROOT, env: place.environment, stdio: ['ignore', file, file] });
    closeSync(file);
    onTestFinished(() => void child.kill('SIGKILL'));
    const reads = (): Promise<string> => readFile(log, 'utf8');
    await expect.poll(reads, { timeout: 20_000 }).toContain('boto3.client');
    child.kill('SIGHUP');
    await expect.poll(reads).toContain('The terminal was closed; the proxy goes on.');
    child.kill('SIGHUP');
    child.kill('SIGTERM');
    expect((await once(child, 'exit'))[0]).toBe(0);
    expect((await reads()).match(/The terminal was closed/g)).toHaveLength(1);
  });
});
