/**
 * What only the running program can tell: the help of every command, and the OpenAPI document of the admin API. It runs
 * from src/ in a process with an environment of its own, so that neither the terminal's width nor a setting of this
 * machine shows.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

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

/**
 * Prints every help, going down into the commands that each help lists, and the document, as one JSON object. The
 * document's endpoint needs nothing but the version.
 */
const TELL = `
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
const endpoint = createEndpoints({ version: '' }).find(({ path }) => path === '/openapi.json');
write(JSON.stringify({ helps, openapi: await endpoint.serve({ query: {}, body: {} }) }));
`;

/** Asks the program of the checkout at `root`. */
export async function readProgram(root: string): Promise<ProgramFacts> {
  const importOf = (name: string, path: string): string =>
    `import { ${name} } from ${JSON.stringify(pathToFileURL(join(root, path)).href)};\n`;
  const text = importOf('run', 'src/cli/main.ts') + importOf('createEndpoints', 'src/admin/router.ts') + TELL;
  const env = { PATH: process.env['PATH'] ?? '', NO_COLOR: '1' };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', text], { env });
  const { helps, openapi } = JSON.parse(stdout) as { helps: [string, string][]; openapi: OpenApi };
  return { helps: new Map(helps), openapi };
}
