/** Scripts read what commands print: each that prints data has `--json`, or its reason stands here. */
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { buildProgram } from '../../src/cli/main.ts';

const WITHOUT: Readonly<Record<string, string>> = {
  exec: 'prints what its command prints',
  'credential-process': 'prints JSON, as AWS wants it',
  completion: 'prints a script',
  'inspect export': 'prints what it exports',
};

function listCommands(command: Command, path: readonly string[] = []): (readonly [string, Command])[] {
  if (command.commands.length === 0) return [[path.join(' '), command]];
  return command.commands.flatMap((below) => listCommands(below, [...path, below.name()]));
}

it('has --json for every command that prints data', () => {
  const without = listCommands(buildProgram()).filter(
    ([, command]) => !command.options.some(({ long }) => long === '--json'),
  );
  expect(without.map(([name]) => name).toSorted()).toEqual(Object.keys(WITHOUT).toSorted());
});
