/** The reference of the command line, made of the help that the program prints. Pure. */
import { renderTable } from './markdown.ts';
import type { Helps } from './program.ts';

/** One row per command: its words, linked to its help, and what it does. */
export function renderCommandTable(helps: Helps): string {
  const rows = leaves(helps).map(([name, help]) => [
    `[\`bedrock-proxy ${name}\`](#bedrock-proxy-${name.replaceAll(' ', '-')})`,
    findDescription(help),
  ]);
  return renderTable(['command', 'what it does'], rows);
}

/** One heading per command, and its help as the terminal shows it. */
export function renderCommandHelps(helps: Helps): string {
  return leaves(helps)
    .map(([name, help]) => `## bedrock-proxy ${name}\n\n\`\`\`text\n${help.trimEnd()}\n\`\`\``)
    .join('\n\n');
}

/** Groups such as `key` only list their commands. */
function leaves(helps: Helps): [string, string][] {
  return [...helps].filter(([name]) => ![...helps.keys()].some((other) => name === '' || other.startsWith(`${name} `)));
}

/** The paragraph after `Usage:`, on one line. */
function findDescription(help: string): string {
  const [, paragraph = ''] = help.slice(help.indexOf('Usage: ')).split('\n\n');
  return paragraph.replaceAll(/\s+/g, ' ').trim();
}
