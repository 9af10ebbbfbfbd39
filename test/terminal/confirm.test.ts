/**
 * The question before a key is ended, in a pseudo-terminal.
 * @module-tag slow
 */
import { describe, expect, it } from 'vitest';
import { openCli } from '../helpers/cli.ts';
import { openTerminal, PTY_PYTHON } from './terminal.ts';

describe.runIf(PTY_PYTHON !== undefined)('ending a key on a terminal', () => {
  it.each([
    { verb: 'revoke', answer: 'y\n', ends: true },
    { verb: 'delete', answer: 'yes\n', ends: true },
    { verb: 'delete', answer: '\n', ends: false },
    { verb: 'revoke', answer: '\u0004', ends: false },
  ])('asks before $verb, and does it after $answer: $ends', async ({ verb, answer, ends }) => {
    const cli = await openCli();
    await cli.run(['key', 'generate', '--alias', 'alice']);
    const terminal = openTerminal(['key', verb, 'alice'], { columns: 80, home: cli.home });
    await terminal.waitFor(/\(alice\).*\[y\/N\]/);
    terminal.type(answer);
    expect(await terminal.ended).toBe(ends ? 0 : 1);
    const { stdout } = await cli.run(['key', 'list', '--json']);
    const active = (JSON.parse(stdout) as { state: string }[]).filter(({ state }) => state === 'active');
    expect(active).toHaveLength(ends ? 0 : 1);
  });

  it('does not ask with --yes, nor of a key that has ended', async () => {
    const cli = await openCli();
    await cli.run(['key', 'generate', '--alias', 'alice']);
    for (const args of [
      ['key', 'revoke', 'alice', '--yes'],
      ['key', 'revoke', 'alice'],
    ]) {
      const terminal = openTerminal(args, { columns: 80, home: cli.home });
      expect(await terminal.ended).toBe(0);
      expect(terminal.lines().join('\n')).not.toContain('[y/N]');
    }
  });
});
