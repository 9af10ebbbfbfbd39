/**
 * A port that is taken, on a terminal: the person is asked, and nobody else.
 * @module-tag slow
 */
import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify, stripVTControlCharacters } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listen } from '../helpers/ports.ts';
import { launchServer, openWorkplace, run } from '../helpers/program.ts';
import { findPython } from '../helpers/python.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/bedrock-proxy.js', import.meta.url));
const python = process.platform === 'win32' ? undefined : findPython('pty');

/** Runs a program on a terminal, types an answer when it asks, and prints all that it says until it serves or ends. */
const TYPE = `
import os, pty, sys
answer, program = sys.argv[1].encode().decode("unicode_escape").encode(), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execv(program[0], program)
said, has_answered = b"", False
while b"endpoint_url" not in said:
    try:
        said += os.read(terminal, 65536)
    except OSError:
        break
    if b"[Y/n] " in said and not has_answered:
        os.write(terminal, answer)
        has_answered = True
os.close(terminal)
os.waitpid(child, 0)
sys.stdout.buffer.write(said)
`;

async function type(answer: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  const commandLine = ['-c', TYPE, answer, process.execPath, LAUNCHER, ...args];
  const { stdout } = await promisify(execFile)(python ?? '', commandLine, { env });
  return stdout.replaceAll('\r', '');
}

describe.skipIf(python === undefined)('a port that is taken', () => {
  it.each([{ answer: '\\n' }, { answer: 'y\\n' }])(
    'is left to who has it, if the answer is $answer',
    async ({ answer }) => {
      const place = await openWorkplace();
      onTestFinished(() => place[Symbol.asyncDispose]());
      const port = await listen(createServer());
      const said = await type(answer, ['start', '--offline', '--port', String(port)], place.environment);
      const [, next] =
        /Another program has port \d+\.\nUse (\d+) instead\? \[Y\/n\] /.exec(stripVTControlCharacters(said)) ?? [];
      expect(Number(next)).toBeGreaterThan(port);
      expect(said).toContain(`endpoint_url="http://localhost:${next}/bedrock"`);
    },
  );

  it.each([{ answer: 'n\\n' }, { answer: '\\x03' }, { answer: '\\x04' }])(
    'is an error as ever, if the answer is $answer',
    async ({ answer }) => {
      const place = await openWorkplace();
      onTestFinished(() => place[Symbol.asyncDispose]());
      const port = await listen(createServer());
      const said = await type(answer, ['start', '--offline', '--port', String(port)], place.environment);
      expect(said).toMatch(/\[Y\/n\] [^]*error: .* already listens on 127\.0\.0\.1 port \d+/);
    },
  );

  it('names the proxy that has it', async () => {
    const place = await openWorkplace();
    onTestFinished(() => place[Symbol.asyncDispose]());
    await using server = await launchServer(['--offline'], place.environment);
    const said = await type('n\\n', ['start', '--port', String(server.port)], place.environment);
    expect(said).toMatch(/A bedrock-proxy \S+ \(offline, us-east-1, open, .*\) has port \d+\./);
  });

  it.each([
    { name: 'CI', args: [], env: { CI: 'true' } },
    { name: '--quiet', args: ['--quiet'], env: {} },
    { name: '--json', args: ['--json'], env: {} },
  ])('asks nobody with $name', async ({ args, env }) => {
    const place = await openWorkplace();
    onTestFinished(() => place[Symbol.asyncDispose]());
    const port = String(await listen(createServer()));
    const said = await type('', ['start', '--offline', '--port', port, ...args], { ...place.environment, ...env });
    expect(said).not.toContain('[Y/n]');
    expect(said).toContain('already listens on');
  });

  it('asks nobody without a terminal', async () => {
    const place = await openWorkplace();
    onTestFinished(() => place[Symbol.asyncDispose]());
    const port = String(await listen(createServer()));
    const { code, stderr } = await run(['start', '--offline', '--port', port], place.environment);
    expect(code).toBe(2);
    expect(stderr).not.toContain('[Y/n]');
  });
});
