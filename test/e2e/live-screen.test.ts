/**
 * `top` and `usage --watch` on a terminal: drawn anew, cut to its size, and gone when they end.
 * @module-tag slow
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findClosedPort } from '../helpers/ports.ts';
import { launchServer, openWorkplace } from '../helpers/program.ts';
import { HAS_TERMINAL, runOnTerminal, type TerminalStep } from '../helpers/terminal.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/bedrock-proxy.js', import.meta.url));
const LEFT = '\u001B[?7h\u001B[?25h\u001B[?1049l';

async function show(args: readonly string[], steps: readonly TerminalStep[], environment: Record<string, string>) {
  return runOnTerminal([process.execPath, LAUNCHER, ...args], steps, { environment });
}

describe.skipIf(!HAS_TERMINAL)('live screens (skipped without a Python that has pty)', () => {
  it('show what the proxy of this database tells, again and again, until q', async () => {
    const place = await openWorkplace();
    onTestFinished(() => place[Symbol.asyncDispose]());
    // The secret that proves whose proxy it is.
    await show(['key', 'generate', '--quiet'], [], place.environment);
    const server = await launchServer(['--offline'], place.environment);
    const args = ['top', '--port', String(server.port)];
    const steps = [{ until: 'in flight: 0' }, { until: 'in flight: 0' }, { size: [60, 10] as const }, { send: 'q' }];
    const { shown, code } = await show(args, steps, place.environment);
    expect(code).toBe(0);
    expect(shown).toMatch(/localhost:\d+, since /);
    expect(shown.endsWith(LEFT)).toBe(true);
    server.child.kill('SIGTERM');
    await server.ended;
  });

  it.each([
    { name: 'Ctrl-C', send: '\u0003' },
    { name: 'Q', send: 'Q' },
  ])('end with $name', async ({ send }) => {
    const { environment, ...place } = await openWorkplace();
    onTestFinished(() => place[Symbol.asyncDispose]());
    const steps = [{ until: 'There are no requests', pause: 0.3, send }];
    const { shown, code } = await show(['usage', '--watch'], steps, environment);
    expect([code, shown.endsWith(LEFT)]).toEqual([0, true]);
  });

  it('are not needed for the bar of a budget in key list', async () => {
    const { environment, ...place } = await openWorkplace();
    onTestFinished(() => place[Symbol.asyncDispose]());
    await show(['key', 'generate', '--quiet', '--budget', '5'], [], environment);
    expect((await show(['key', 'list'], [], environment)).shown).toContain('░░░░░░░░   0 %');
  });

  it('say what is wrong where it was asked', async () => {
    const { environment, ...place } = await openWorkplace();
    onTestFinished(() => place[Symbol.asyncDispose]());
    const port = String(await findClosedPort());
    const { shown, code } = await show(['usage', '--watch', '--by', `x${port}`], [], environment);
    expect([code, shown.includes('\u001B[?1049h')]).toEqual([2, false]);
  });
});
