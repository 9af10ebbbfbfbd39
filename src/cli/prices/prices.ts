/**
 * `prices show`, `prices list`, `prices update`, as commander sees them: names, options and help only; what they do is
 * imported when one of them runs.
 */
import { type Command, Option } from 'commander';
import type { Flags } from '../../config/options.ts';
import type { CommandTools } from '../env/commands.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy prices show us.anthropic.claude-sonnet-4-5-20250929-v1:0
  $ bedrock-proxy prices show amazon.nova-pro-v1:0 --tier flex --prices own.json
  $ bedrock-proxy prices list 'anthropic.*'
  $ bedrock-proxy prices update             fetch what is published today
`;
const NOTES = `
In USD per million tokens. The price file (--prices) comes first, then what
\`prices update\` fetched, then what is built in; a server reads them at its
start. A price that nobody knows is missing, never zero: such requests count
as unpriced.
`;
const TIERS = ['standard', 'flex', 'priority', 'batch', 'reserved', 'optimized'];

/** Adds the command and its three verbs. */
export function addPrices(program: Command, { addOption, forEachCommand }: CommandTools): void {
  const prices = program.command('prices').description('show and refresh what models cost');
  const show = prices
    .command('show')
    .description('the price in force for a model, and where it comes from')
    .argument('<model>', 'as requests name it: id, inference profile or ARN')
    .addOption(new Option('--tier <tier>', 'how it is served (default: standard)').choices(TIERS))
    .action(async (model: string, flags: Flags) => (await import('./table.ts')).showPrice(model, flags));
  const list = prices
    .command('list')
    .description('every model that has a price')
    .argument('[pattern]', 'part of the name, or a pattern with *')
    .action(async (pattern: string | undefined, flags: Flags) =>
      (await import('./table.ts')).listPrices(pattern, flags),
    );
  const update = prices
    .command('update')
    .description('fetch the published prices, and say what changed')
    .addOption(new Option('--url <url>', 'fetch them from here').hideHelp())
    .action(async (flags: Flags) => (await import('./update.ts')).updatePrices(flags));
  for (const command of [show, list]) addOption(command, 'prices');
  for (const command of [show, list, update]) {
    addOption(command, 'db');
    command.option('--json', 'print JSON');
  }
  for (const command of [prices, show, list, update]) {
    command.addHelpText('before', EXAMPLES.trimStart()).addHelpText('after', NOTES);
    forEachCommand(command);
  }
}
