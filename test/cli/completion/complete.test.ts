/** What can come next on a command line, by a table of commands. */
import { describe, expect, it } from 'vitest';
import { complete } from '../../../src/cli/completion/complete.ts';
import { type CommandGroup, defineCommand } from '../../../src/cli/command.ts';

const WORDS = { examples: '', description: 'text' };
const START = defineCommand({
  ...WORDS,
  name: 'start',
  options: {
    port: { flag: '--port <number>', description: 'a port' },
    profile: { flag: '--profile <name>', description: 'a profile' },
    logFormat: { flag: '--log-format <format>', description: 'a format', values: ['pretty', 'json'] },
    allowedHost: { flag: '--allowed-host <name>', description: 'a host', repeatable: true },
    lines: { flag: '-n, --lines <number>', description: 'a number' },
    prices: { flag: '--prices <file>', description: 'a file' },
    quiet: { flag: '--quiet', description: 'a switch' },
    secret: { flag: '--secret', description: 'hidden', isHidden: true },
  },
  run: async () => {},
});
const SHOW = defineCommand({
  ...WORDS,
  name: 'show',
  arguments: { key: { usage: '<key>', description: 'a key' } },
  options: {
    models: { flag: '--models <pattern...>', description: 'models' },
    regions: { flag: '--regions <pattern...>', description: 'regions' },
    scope: { flag: '--scope <scope>', description: 'a scope', choices: ['default', 'all'] },
  },
  run: async () => {},
});
const RUN = defineCommand({
  ...WORDS,
  name: 'run',
  arguments: { command: { usage: '<command...>', description: 'a command' } },
  options: {},
  run: async () => {},
});
const KEY: CommandGroup = { ...WORDS, name: 'key', commands: [SHOW] };
const SHELL = defineCommand({
  ...WORDS,
  name: 'script',
  arguments: { shell: { usage: '<shell>', description: 'a shell', choices: ['bash', 'fish'] } },
  options: {},
  run: async () => {},
});
const TABLE = { commands: [START, KEY, RUN, SHELL], options: [{ flag: '--debug', description: 'text' }] };

/** Of the words after the name of the program, the last of which is being typed. */
function completeLine(line: string): { readonly values: string[]; readonly kind: string | undefined } {
  const { known, kind } = complete(TABLE, line.split(' '));
  return { values: known.map(({ value }) => value), kind };
}

describe('completion', () => {
  it.each([
    { line: '', values: ['start', 'key', 'run', 'script'] },
    { line: 's', values: ['start', 'script'] },
    { line: 'key ', values: ['show'] },
    { line: 'help ', values: ['start', 'key', 'run', 'script'] },
    { line: 'help key ', values: ['show'] },
    { line: 'script ', values: ['bash', 'fish'] },
    { line: 'script b', values: ['bash'] },
    { line: '-', values: ['--debug'] },
    { line: 'start --p', values: ['--port', '--profile', '--prices'] },
    { line: 'start --log-format ', values: ['pretty', 'json'] },
    { line: 'start --log-format j', values: ['json'] },
    { line: 'start --log-format=j', values: ['--log-format=json'] },
    { line: 'start --unknown --qui', values: ['--quiet'] },
    // One that was given is not offered again, unless it may be.
    { line: 'start --quiet --quie', values: [] },
    { line: 'start --allowed-host x --allowed', values: ['--allowed-host'] },
    { line: 'start -n 5 --lin', values: [] },
    { line: 'start --secr', values: [] },
    { line: 'key show --scope ', values: ['default', 'all'] },
    { line: 'key show --models x --sc', values: ['--scope'] },
    { line: 'nothing of ours', values: [], kind: 'file' },
    { line: 'start --profile ', values: [], kind: 'profile' },
    { line: 'start --profile=d', values: [], kind: 'profile' },
    { line: 'start --prices ', values: [], kind: 'file' },
    { line: 'start --port ', values: [] },
    { line: 'key show ', values: [], kind: 'key' },
    { line: 'key show --models ', values: [], kind: 'model' },
    { line: 'key show --models a ', values: [], kind: 'model' },
    { line: 'key show --regions ', values: [], kind: 'region' },
    { line: 'key show alice ', values: [] },
    { line: 'run -- start --', values: [], kind: 'file' },
    { line: 'run ', values: [], kind: 'file' },
  ])('offers $values $kind after "$line"', ({ line, values, kind }) => {
    expect(completeLine(line)).toEqual({ values, kind });
  });
});
