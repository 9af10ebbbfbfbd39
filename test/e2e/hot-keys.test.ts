/**
 * The hot keys of `start`, on a terminal, with a shell around it: what they do, and that neither the shell nor the
 * proxy suffers from them.
 * @module-tag slow
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findClosedPort } from '../helpers/ports.ts';
import { openWorkplace, type Workplace } from '../helpers/program.ts';
import { HAS_TERMINAL, runOnTerminal, type TerminalResult, type TerminalStep } from '../helpers/terminal.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/bedrock-proxy.js', import.meta.url));
const LINE = 'h help · u usage · k new key · i inspect · e only errors · c clear · q quit';
const START = `${process.execPath} ${LAUNCHER} start --offline --port 0`;

async function openPlace(): Promise<Workplace> {
  const place = await openWorkplace();
  onTestFinished(() => place[Symbol.asyncDispose]());
  return place;
}

/** `start` without a shell, until its line is there; then these steps. */
async function startAndType(steps: readonly TerminalStep[]): Promise<TerminalResult> {
  const { environment } = await openPlace();
  return runOnTerminal(START.split(' '), [{ until: LINE, pause: 0.3 }, ...steps], { environment });
}

/** In an interactive shell, whose terminal tells its modes. */
async function inShell(steps: readonly TerminalStep[]): Promise<TerminalResult> {
  const { environment, folder } = await openPlace();
  const env = { ...environment, PS1: '$ ', LC_ALL: 'C', BASH_SILENCE_DEPRECATION_WARNING: '1' };
  return runOnTerminal(['bash', '--norc', '--noprofile', '-i'], steps, { environment: env, folder });
}

const MODES = "stty -a | tr ' ;' '\\n' | grep -xE -- '-?(icanon|echo|isig)' | tr '\\n' ' '; echo end\r";
const COOKED = 'isig icanon echo end';

describe.skipIf(!HAS_TERMINAL)('hot keys (skipped without a Python that has pty)', () => {
  it('show help, usage, and quit in order', async () => {
    const { shown, code } = await startAndType([
      { send: 'h' },
      { until: 'e  only the lines of requests that failed', pause: 0.1, send: 'u' },
      { until: 'There are no requests in the ledger since', pause: 0.1, send: 'q' },
    ]);
    expect(code).toBe(0);
    expect(shown).toContain('Stopped after');
  });

  it('make a key, but the first one only when asked twice', async () => {
    const { shown } = await startAndType([
      { send: 'k' },
      { until: 'This would be the first key', pause: 0.1, send: 'k' },
      { until: 'was not copied', pause: 0.1, send: 'k' },
      { until: 'was not copied', pause: 0.1, send: 'q' },
    ]);
    expect(shown.match(/sk-[\w-]{43}/g)).toHaveLength(2);
  });

  it('print the link of the page, without a display', async () => {
    const { shown } = await startAndType([{ send: 'i' }, { until: '/inspect/#t=', pause: 0.3, send: 'q' }]);
    expect(shown).toMatch(/http:\/\/localhost:\d+\/inspect\/#t=[\w-]{43}/);
  });

  it('end at Ctrl-C as without them, and at once at the second', async () => {
    const { shown, code } = await startAndType([{ send: '\u0003' }]);
    expect([code, shown.includes('Stopped after')]).toEqual([0, true]);
  });

  it('are not what is pasted', async () => {
    const { shown } = await startAndType([
      { send: 'kkqc curl http://localhost:4000 | jq\r' },
      { pause: 0.3, send: '\u001B[A' },
      { pause: 0.3, send: 'x' },
      { pause: 0.1, send: 'h' },
      { until: 'this help', pause: 0.1, send: 'q' },
    ]);
    expect(shown).not.toContain('first key');
    expect(shown).not.toContain('curl http://localhost:4000 | jq');
  });

  it.each([
    { name: 'in CI', environment: { CI: 'true' } },
    { name: 'on a dumb terminal', environment: { TERM: 'dumb' } },
  ])('are not there $name', async ({ environment }) => {
    const place = await openPlace();
    const steps = [{ until: 'aws_secret_access_key=' }, { pause: 0.5, send: '\u0003' }];
    const { shown, code } = await runOnTerminal(START.split(' '), steps, {
      environment: { ...place.environment, ...environment },
    });
    expect([code, shown.includes(LINE)]).toEqual([0, false]);
  });

  it('leave the terminal to the shell at Ctrl-Z, and come back with fg', async () => {
    const { shown } = await inShell([
      { pause: 0.5, send: `${START}\r` },
      { until: LINE, pause: 0.3, send: '\u001A' },
      { until: 'Stopped', pause: 0.2, send: MODES },
      { until: COOKED, pause: 0.1, send: 'fg\r' },
      { until: 'bedrock-proxy.js', pause: 1, send: 'h' },
      { until: 'this help', pause: 0.1, send: 'q' },
      { until: 'Stopped after' },
      { pause: 0.5, send: MODES },
      { until: COOKED, send: 'exit\r' },
    ]);
    expect(shown).toContain('Stopped after');
  });

  it.each(['KILL', 'TERM', 'HUP'])('leave the terminal to the shell as it was after SIG%s', async (signal) => {
    await inShell([
      { pause: 0.5, send: `(sleep 3; kill -${signal} $(cat pid)) & sh -c 'echo $$ >pid; exec ${START}'\r` },
      { until: LINE, pause: 3.5, send: MODES },
      { until: COOKED, send: 'exit\r' },
    ]);
  });

  it.each([
    { name: 'started there', steps: [{ pause: 0.5, send: `${START} &\r` }, { until: 'aws_secret_access_key=' }] },
    {
      name: 'sent there with bg',
      steps: [
        { pause: 0.5, send: `${START}\r` },
        { until: LINE, pause: 0.3, send: '\u001A' },
        { until: 'Stopped', pause: 0.2, send: 'bg\r' },
      ],
    },
  ])('do not stop a proxy in the background that was $name', async ({ steps }) => {
    const { shown } = await inShell([
      ...steps,
      { pause: 0.5, send: 'echo quack\r' },
      { until: 'quack', pause: 0.3, send: 'jobs\r' },
      { until: 'Running', pause: 0.2, send: 'kill %1; wait\r' },
      { until: 'Stopped after', pause: 1, send: 'exit\r' },
    ]);
    expect(shown).not.toContain('tty input');
  });

  it('leave out what went well, with workers too, and show all again', async () => {
    const place = await openPlace();
    const port = await findClosedPort();
    const args = `${START.replace('--port 0', `--port ${port}`)} --workers 2`.split(' ');
    const calling = setInterval(() => {
      void converse(port, 'amazon.nova-lite-v1:0');
      void converse(port, '%20');
    }, 100);
    onTestFinished(() => clearInterval(calling));
    const { shown } = await runOnTerminal(
      args,
      [
        { until: LINE, pause: 1, send: 'e' },
        { until: 'Only requests that fail are shown', pause: 1, send: 'e' },
        { until: 'All requests are shown', pause: 1, send: 'q' },
      ],
      { environment: place.environment },
    );
    const [, all = '', failed = '', allAgain = ''] = shown.split(
      /Only requests.*\r\n|All requests.*\r\n|c clear · q quit/,
    );
    // A worker may have sent a line or two just before it was told.
    const later = failed.split('\n').slice(4).join('\n');
    expect([all, later, allAgain].map(statusesIn)).toEqual([[' 200 ', ' 400 '], [' 400 '], [' 200 ', ' 400 ']]);
  });
});

async function converse(port: number, model: string): Promise<void> {
  const url = `http://127.0.0.1:${port}/bedrock/model/${model}/converse`;
  const body = '{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}';
  const headers = { 'content-type': 'application/json' };
  // Before it listens, and when it has ended, nobody answers.
  await fetch(url, { method: 'POST', headers, body }).then(
    (response) => response.text(),
    () => '',
  );
}

function statusesIn(text: string): readonly string[] {
  return [...new Set(text.match(/ (?:200|4\d\d) /g))].toSorted();
}
