/** The reference of the command line, made of the help that the program prints. Pure. */
import type { Command } from 'commander';
import { renderTable } from './markdown.ts';

const WIDTH = 80;

/** One row per command: its words, linked to its help, and what it does. */
export function renderCommandTable(program: Command): string {
  const rows = leaves(program).map(({ name, command }) => [
    `[\`${name}\`](#${name.replaceAll(' ', '-')})`,
    command.description(),
  ]);
  return renderTable(['command', 'what it does'], rows);
}

/** One heading per command, and its help as the terminal shows it. */
export function renderCommandHelps(program: Command): string {
  return leaves(program)
    .map(({ name, command }) => `## ${name}\n\n\`\`\`text\n${readHelp(command).trimEnd()}\n\`\`\``)
    .join('\n\n');
}

/** Those that run; groups such as `key` only list their commands. */
function leaves(command: Command, above = ''): { readonly name: string; readonly command: Command }[] {
  const name = `${above} ${command.name()}`.trim();
  if (command.commands.length === 0) return [{ name, command }];
  return command.commands.flatMap((below) => leaves(below, name));
}

function readHelp(command: Command): string {
  let help = '';
  command.configureOutput({
    writeOut: (text) => (help += text),
    getOutHelpWidth: () => WIDTH,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return help;
}
