import { Command } from 'commander';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { addCommand, type CommandSpec, defineCommand, pickOptions } from '../../src/cli/command.ts';

const WORDS = { name: 'try', description: 'tries it', examples: '\nExamples:\n  $ try\n' };

type Keep = (input: unknown) => Promise<void>;

const defineTry = (keep: Keep): CommandSpec =>
  defineCommand({
    ...WORDS,
    arguments: {
      model: { usage: '<model>', description: 'one' },
      others: { usage: '[others...]', description: 'more' },
    },
    options: {
      maxParallel: { flag: '-m, --max-parallel <number>', description: 'text' },
      scope: { flag: '--scope <scope>', description: 'a choice', choices: ['default', 'all'] },
      tag: { flag: '--tag <name=value...>', description: 'a list' },
      json: { flag: '--json', description: 'a switch' },
      noInvoke: { flag: '--no-invoke', description: 'a switch' },
      ...pickOptions('endpointUrl', 'noResponseHeaders'),
    },
    run: async (input) => {
      expectTypeOf(input).toEqualTypeOf<
        {
          readonly maxParallel: string | undefined;
          readonly scope: 'default' | 'all' | undefined;
          readonly tag: readonly string[] | undefined;
          readonly json: boolean;
          readonly noInvoke: boolean;
          readonly endpointUrl: readonly string[] | undefined;
          readonly noResponseHeaders: boolean;
        } & { readonly model: string; readonly others: readonly string[] }
      >();
      await keep(input);
    },
  });

const defineOpposites = (run: Keep): CommandSpec =>
  defineCommand({
    ...WORDS,
    options: {
      allow: { flag: '--allow', description: 'do' },
      noAllow: { flag: '--no-allow', description: 'do not' },
    },
    run,
  });

/** What the command gets of these arguments. */
async function readInputOf(define: (keep: Keep) => CommandSpec, args: readonly string[]) {
  const inputs: unknown[] = [];
  const program = new Command('program');
  addCommand(
    program,
    define(async (input) => void inputs.push(input)),
  );
  await program.parseAsync(['try', ...args], { from: 'user' });
  expect(inputs).toHaveLength(1);
  return inputs[0];
}

describe('the input of a command', () => {
  it('has every value under its name', async () => {
    const args = ['nova', 'a', 'b', '-m', '3', '--scope', 'all', '--json', '--no-invoke', '--no-response-headers'];
    const lists = ['--endpoint-url', 'http://a', '--endpoint-url', 'http://b', '--tag', 'x=1', 'y=2'];
    expect(await readInputOf(defineTry, [...args, ...lists])).toEqual({
      model: 'nova',
      others: ['a', 'b'],
      maxParallel: '3',
      scope: 'all',
      tag: ['x=1', 'y=2'],
      json: true,
      noInvoke: true,
      endpointUrl: ['http://a', 'http://b'],
      noResponseHeaders: true,
    });
  });

  it('has false for a switch that is not given, and nothing for any other option', async () => {
    expect(await readInputOf(defineTry, ['nova'])).toEqual({
      model: 'nova',
      others: [],
      maxParallel: undefined,
      scope: undefined,
      tag: undefined,
      json: false,
      noInvoke: false,
      endpointUrl: undefined,
      noResponseHeaders: false,
    });
  });

  it.each([
    { args: ['--allow'], allow: true, noAllow: false },
    { args: ['--no-allow'], allow: false, noAllow: true },
    { args: [], allow: false, noAllow: false },
  ])('tells a switch from its opposite: $args', async ({ args, allow, noAllow }) => {
    expect(await readInputOf(defineOpposites, args)).toEqual({ allow, noAllow });
  });
});
