/** The `inspect` commands: words and options only; each command's own file is imported when it runs. */
import { OPTIONS } from '../../config/options.ts';
import { type CommandGroup, defineCommand, JSON_OPTION, pickOptions } from '../command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy inspect                  open the page of the proxy that runs
  $ bedrock-proxy inspect link --no-open   print its link
  $ bedrock-proxy inspect export --inspect-db exchanges.db --format har
  $ bedrock-proxy inspect export --filter 'status:4xx since:1h' -o errors.html
  $ bedrock-proxy inspect export exchanges.db --unsanitized -o all.ndjson
  $ bedrock-proxy inspect open all-contains-prompts.ndjson
  $ bedrock-proxy inspect clear --inspect-db exchanges.db
`;
const LINK_NOTES = `
The page shows every request; with \`start --inspect\` also what was sent and
what came back. Its link is for its owner: whoever has it sees all of that. It
ends with the proxy, unless BEDROCK_PROXY_INSPECT_TOKEN names the token. A
browser is opened from a terminal only, and not in CI or over SSH.
`;
const EXPORT_NOTES = `
Texts are replaced by their length, and who sent them is left out, unless
--unsanitized is given: that is to be confirmed by typing "contains prompts",
and the name of the file says so. Credentials are never in it. HAR opens in
browsers' tools, HTML in a browser without a network, NDJSON with \`inspect open\`
and \`cassette import\`. What the memory of a running proxy holds is exported on
its page.
`;
const OPEN_NOTES = `
The page is on a port of its own, for whoever has its link; nothing can be
changed there or sent anywhere. It ends with Ctrl-C.
`;
const CLEAR_NOTES = `
What is pinned stays, unless --all is given. A proxy may go on meanwhile. What
the memory of a running proxy holds is cleared on its page, or ends with it.
`;

const LINK = defineCommand({
  name: 'link',
  description: 'open the page of the proxy that runs, and print its link; so does `inspect` alone',
  isDefault: true,
  examples: EXAMPLES,
  notes: LINK_NOTES,
  options: {
    port: { flag: '-p, --port <number>', description: 'of the proxy on this port, if several run' },
    noOpen: { flag: '--no-open', description: 'only print it' },
    json: { ...JSON_OPTION, description: 'print JSON, and open nothing' },
  },
  run: async (input) => (await import('./link.ts')).printLink(input),
});

const EXPORT = defineCommand({
  name: 'export',
  description: 'write kept exchanges to a file: NDJSON, HAR or one HTML page',
  examples: EXAMPLES,
  notes: EXPORT_NOTES,
  arguments: { file: { usage: '[file]', description: 'what was kept or exported; else that of --inspect-db' } },
  options: {
    format: {
      flag: '--format <format>',
      description: 'ndjson, har or html; else by the end of the name of --output (default: ndjson)',
      choices: ['ndjson', 'har', 'html'],
    },
    output: { flag: '-o, --output <file>', description: 'where to; - is standard output' },
    filter: { flag: '--filter <filter>', description: "only what matches, such as 'status:4xx model:*haiku*'" },
    id: { flag: '--id <id>', description: 'only the exchange of this request' },
    limit: { flag: '-n, --limit <number>', description: 'only so many, the newest ones' },
    unsanitized: { flag: '--unsanitized', description: 'with all that prompts and responses say' },
    confirm: { flag: '--confirm <words>', description: '"contains prompts", where nobody can be asked' },
    ...pickOptions('inspectDb'),
  },
  run: async (input) => (await import('./export.ts')).exportKept(input),
});

const OPEN = defineCommand({
  name: 'open',
  description: 'look at an export, or at a file of --inspect-db, on a page',
  examples: EXAMPLES,
  notes: OPEN_NOTES,
  arguments: { file: { usage: '<file>', description: 'NDJSON of `inspect export`, or a file of --inspect-db' } },
  options: {
    port: { ...OPTIONS.port, default: '0', env: [], description: 'port of the page; 0 takes a free one' },
    json: { ...JSON_OPTION, description: 'print a line of JSON with the link' },
  },
  run: async (input) => (await import('./open.ts')).openPage(input),
});

const CLEAR = defineCommand({
  name: 'clear',
  description: 'delete the exchanges that --inspect-db has kept',
  examples: EXAMPLES,
  notes: CLEAR_NOTES,
  options: {
    all: { flag: '--all', description: 'those that are pinned, too' },
    yes: { flag: '-y, --yes', description: 'without a question' },
    json: JSON_OPTION,
    ...pickOptions('inspectDb'),
  },
  run: async (input) => (await import('./clear.ts')).clearKept(input),
});

/** `inspect` and its verbs. */
export const INSPECT: CommandGroup = {
  name: 'inspect',
  description: 'the page that shows every request; export, open and clear what was kept',
  examples: EXAMPLES,
  commands: [LINK, OPEN, EXPORT, CLEAR],
};
