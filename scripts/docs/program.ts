/**
 * What only the running program can tell: the help of every command, and the OpenAPI document of the admin API. It runs
 * from src/ in a process with an environment of its own, so that neither the terminal's width nor a setting of this
 * machine shows.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The help of a command by its words (`key generate`); that of the program itself under ''. */
export type Helps = ReadonlyMap<string, string>;

export interface ProgramFacts {
  readonly helps: Helps;
  /** The document that `GET /openapi.json` gives, parsed. */
  readonly openapi: OpenApi;
}

/** The parts of the document that the docs show. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, ApiOperation>>>>;
}

export interface ApiOperation {
  readonly summary: string;
  /** Empty if it needs no key. */
  readonly security?: readonly unknown[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly description?: string;
    readonly schema: ApiSchema;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: ApiSchema }>> };
}

export interface ApiSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly anyOf?: readonly ApiSchema[];
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, ApiSchema>>;
}

/** Prints every help as one JSON array, going down into the commands that each help lists. */
const TELL_HELPS = `
const write = process.stdout.write.bind(process.stdout);
const helps = [];
let text = '';
process.stdout.write = (chunk) => { text += chunk; return true; };
const visit = async (...path) => {
  text = '';
  await run(['node', 'bedrock-proxy', ...path, '--help']);
  const help = text;
  helps.push([path.join(' '), help]);
  const commands = help.split('\\nCommands:\\n')[1]?.split('\\n\\n')[0] ?? '';
  for (const [, name] of commands.matchAll(/^ {2}([a-z-]+)/gm)) if (name !== 'help') await visit(...path, name);
};
await visit();
write(JSON.stringify(helps));
`;
const START = `await run(['node', 'bedrock-proxy', ...process.argv.slice(1)]);`;

/** Asks the program of the checkout at `root`. */
export async function readProgram(root: string): Promise<ProgramFacts> {
  const home = await mkdtemp(join(tmpdir(), 'docs-'));
  try {
    const [helps, openapi] = await Promise.all([readHelps(root, home), readOpenApi(root, home)]);
    return { helps, openapi };
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

async function readHelps(root: string, home: string): Promise<Helps> {
  const child = startProgram(root, home, TELL_HELPS, []);
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  await once(child, 'close');
  return new Map(JSON.parse(output) as [string, string][]);
}

async function readOpenApi(root: string, home: string): Promise<OpenApi> {
  const child = startProgram(root, home, START, ['start', '--offline', '--port', '0']);
  const ended = once(child, 'close');
  try {
    const response = await fetch(`http://localhost:${await findPort(child)}/openapi.json`);
    return (await response.json()) as OpenApi;
  } finally {
    child.kill();
    await ended;
  }
}

/** The port in the banner. Throws with what the program said if it ends before. */
function findPort(child: ChildProcess): Promise<string> {
  let banner = '';
  return new Promise((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      banner += chunk;
      const port = /localhost:(\d+)\/bedrock\s/.exec(banner)?.[1];
      if (port !== undefined) resolve(port);
    });
    child.once('close', () => reject(new Error(`the proxy did not start: ${banner}`)));
  });
}

function startProgram(root: string, home: string, script: string, args: readonly string[]): ChildProcess {
  const main = pathToFileURL(join(root, 'src/cli/main.ts')).href;
  const text = `const { run } = await import(${JSON.stringify(main)});\n${script}`;
  return spawn(process.execPath, ['--input-type=module', '-e', text, '--', ...args], {
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: home,
      USERPROFILE: home,
      BEDROCK_PROXY_DB: join(home, 'keys.db'),
      BEDROCK_PROXY_MASTER_KEY: 'sk-master-key-of-the-docs',
      AWS_EC2_METADATA_DISABLED: 'true',
      NO_COLOR: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
