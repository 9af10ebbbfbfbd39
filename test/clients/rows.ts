// The clients under test and the modes each has: the table that the runner goes through. Data only, but for the command
// lines. A mode is how the virtual key travels: `bearer`, `SigV4` (the key's own AWS pair), or a client's special way.
import { join } from 'node:path';

/** The columns of the table, in their order. */
export const CHECKS = ['call', 'stream', 'error', 'throttle', 'arn', 'agents'] as const;
export type Check = (typeof CHECKS)[number];

export type ToolchainName =
  | 'python'
  | 'python-older'
  | 'aws-cli-2'
  | 'javascript'
  | 'go'
  | 'java'
  | 'agents'
  | 'aider'
  | 'goose';

/** Where things are, as absolute paths: the checkout, and what was installed for the row. */
export interface Places {
  readonly root: string;
  readonly installed: string;
}

/** Checks that do not apply, with the reason. */
type Lacks = Partial<Record<Check, string>>;

interface Mode {
  readonly mode: string;
  readonly lacks?: Lacks;
  /**
   * How a client says that it will not send this key over plain http: the row is skipped then, and tested in full as
   * soon as the client sends it.
   */
  readonly refusal?: RegExp;
  /** The version of HTTP in which the proxy must have seen the streams. */
  readonly http?: '1.1' | '2';
}

interface Program {
  /** Undefined where the project's own dependencies are all it needs. */
  readonly toolchain: ToolchainName | undefined;
  readonly command: (places: Places) => readonly string[];
}

interface Client extends Program {
  readonly id: string;
  /** As the table names it. */
  readonly client: string;
  readonly modes: readonly Mode[];
  readonly lacks?: Lacks;
  readonly environment?: (places: Places) => Readonly<Record<string, string>>;
  /** False: what it sends holds dates, paths or ids, so that no request is as it was before. */
  readonly repeats?: false;
}

/** One client in one mode. */
export interface Row extends Program {
  readonly client: string;
  readonly mode: string;
  readonly tls: boolean;
  /** The label of the row's key in the proxy's log. */
  readonly alias: string;
  readonly lacks: Lacks;
  readonly checks: readonly Check[];
  readonly refusal: RegExp | undefined;
  readonly http: '1.1' | '2' | undefined;
  readonly environment: (places: Places) => Readonly<Record<string, string>>;
}

const NO_AGENTS = { agents: 'has no agents' };
/** AWS's clients take a bearer for bedrock and bedrock-runtime only. */
const NO_BEARER_AGENTS = { agents: 'AWS takes no bearer there' };
const NO_ARNS = { arn: 'OpenAI routes take model ids' };

const python = (program: string, toolchain: ToolchainName = 'python'): Program => ({
  toolchain,
  command: ({ root, installed }) => [
    join(installed, 'bin', 'python'),
    join(root, 'test', 'clients', 'python', program),
  ],
});
/** Of the project's own dependencies. */
const ownJavaScript = (program: string): Program => ({
  toolchain: undefined,
  command: ({ root }) => [process.execPath, join(root, 'test', 'clients', 'javascript', program)],
});
const javaScript = (program: string): Program => ({
  toolchain: 'javascript',
  command: ({ installed }) => [process.execPath, join(installed, program)],
});

/** The coding agents that have to be pointed here in a way of their own; what they do beyond a prompt is the same. */
const ONE_PROMPT = {
  stream: 'one prompt only',
  error: 'one prompt only',
  throttle: 'one prompt only',
  arn: 'one prompt only',
  agents: 'has no agents',
};
const agent = (id: string, client: string, toolchain: ToolchainName = 'agents'): Client => ({
  id,
  client,
  toolchain,
  command: ({ root }) => [process.execPath, join(root, 'test', 'clients', 'javascript', 'agents.mjs')],
  environment: ({ installed }) => ({ AGENT: id, AGENTS: installed }),
  lacks: ONE_PROMPT,
  repeats: false,
  modes: [{ mode: 'env --for' }],
});

const CLIENTS: readonly Client[] = [
  {
    id: 'boto3',
    client: 'boto3',
    ...python('boto3_client.py'),
    modes: [
      { mode: 'bearer', lacks: NO_BEARER_AGENTS, refusal: /Bearer authorization requires an HTTPS endpoint/ },
      { mode: 'SigV4' },
      { mode: 'header' },
    ],
  },
  {
    id: 'boto3-older',
    client: 'boto3 before 1.44',
    ...python('boto3_client.py', 'python-older'),
    modes: [{ mode: 'bearer', lacks: NO_BEARER_AGENTS }],
  },
  {
    id: 'aws-cli-1',
    client: 'AWS CLI 1',
    ...python('aws_cli.py'),
    environment: ({ installed }) => ({ AWS_CLI: join(installed, 'bin', 'aws') }),
    lacks: { stream: 'has no commands for streams' },
    modes: [{ mode: 'bearer', lacks: NO_BEARER_AGENTS }, { mode: 'SigV4' }],
  },
  {
    id: 'aws-cli-2',
    client: 'AWS CLI 2',
    ...python('aws_cli.py', 'aws-cli-2'),
    environment: ({ installed }) => ({ AWS_CLI: join(installed, 'cli', 'dist', 'aws') }),
    lacks: { stream: 'has no commands for streams' },
    modes: [{ mode: 'bearer', lacks: NO_BEARER_AGENTS }, { mode: 'SigV4' }],
  },
  {
    id: 'aws-sdk-js',
    client: 'AWS SDK for JavaScript',
    ...ownJavaScript('aws-sdk.mjs'),
    modes: [
      { mode: 'bearer', lacks: NO_BEARER_AGENTS, http: '2' },
      { mode: 'SigV4', http: '2' },
      { mode: 'bearer, HTTP/1.1', lacks: NO_BEARER_AGENTS, http: '1.1' },
      { mode: 'SigV4, HTTP/1.1', http: '1.1' },
    ],
  },
  {
    id: 'go',
    client: 'AWS SDK for Go v2',
    toolchain: 'go',
    command: ({ installed }) => [join(installed, 'clients')],
    modes: [
      { mode: 'bearer', lacks: NO_BEARER_AGENTS, refusal: /bearer token with HTTP request requires HTTPS/ },
      { mode: 'SigV4' },
    ],
  },
  {
    id: 'java',
    client: 'AWS SDK for Java v2',
    toolchain: 'java',
    command: ({ installed }) => [
      'java',
      '-cp',
      [join(installed, 'lib', '*'), join(installed, 'classes')].join(':'),
      'Clients',
    ],
    modes: [
      { mode: 'bearer', lacks: NO_BEARER_AGENTS, http: '2' },
      { mode: 'SigV4', http: '2' },
    ],
  },
  {
    id: 'anthropic-python',
    client: 'Anthropic SDK for Python',
    ...python('anthropic_client.py'),
    lacks: NO_AGENTS,
    modes: [{ mode: 'bearer' }, { mode: 'SigV4' }],
  },
  {
    id: 'anthropic-js',
    client: 'Anthropic SDK for TypeScript',
    ...ownJavaScript('anthropic.mjs'),
    lacks: NO_AGENTS,
    modes: [{ mode: 'bearer' }, { mode: 'SigV4' }],
  },
  {
    id: 'claude-code',
    client: 'Claude Code',
    ...javaScript('claude-code.mjs'),
    lacks: NO_AGENTS,
    repeats: false,
    modes: [{ mode: 'bearer' }, { mode: 'skip-auth' }, { mode: 'SigV4' }],
  },
  {
    id: 'vercel',
    client: 'Vercel AI SDK (amazon-bedrock)',
    ...javaScript('vercel.mjs'),
    lacks: NO_AGENTS,
    modes: [{ mode: 'bearer' }, { mode: 'SigV4' }],
  },
  {
    id: 'langchain',
    client: 'LangChain (langchain-aws)',
    ...python('langchain_client.py'),
    lacks: NO_AGENTS,
    modes: [{ mode: 'bearer', refusal: /Bearer authorization requires an HTTPS endpoint/ }, { mode: 'SigV4' }],
  },
  {
    id: 'openai-python',
    client: 'OpenAI SDK for Python',
    ...python('openai_client.py'),
    lacks: { ...NO_AGENTS, ...NO_ARNS },
    modes: [{ mode: 'bearer' }, { mode: 'SigV4' }],
  },
  {
    id: 'openai-js',
    client: 'OpenAI SDK for TypeScript',
    ...javaScript('openai.mjs'),
    lacks: { ...NO_AGENTS, ...NO_ARNS },
    modes: [{ mode: 'bearer' }, { mode: 'SigV4' }],
  },
  agent('codex', 'Codex'),
  agent('opencode', 'OpenCode'),
  agent('cline', 'Cline'),
  agent('continue', 'Continue'),
  agent('aider', 'Aider', 'aider'),
  agent('goose', 'goose', 'goose'),
];

/** What docs/clients.md has a recipe for and nothing here runs, with the reason: named in the table, never left out. */
export const NOT_RUN: readonly { readonly client: string; readonly reason: string }[] = [
  { client: 'Claude Desktop', reason: 'runs on a desktop alone' },
  { client: 'n8n', reason: 'is a server with accounts and flows made by hand' },
  { client: 'Terraform', reason: 'a program of its own, whose providers are in a registry of its own' },
];

/**
 * The rows of the table: one per client and mode, and one more over https where the client may insist on it, or with
 * `tls` always. `only` holds ids or what they begin with (`aws-cli` is both versions). Throws where one of them is no
 * client. `replay`: none of those whose requests are never the same again.
 */
export function listRows({ only, tls, replay }: { only: readonly string[]; tls: boolean; replay: boolean }): Row[] {
  const unknown = only.find((word) => !CLIENTS.some(({ id }) => isMeant(id, word)));
  if (unknown !== undefined) {
    throw new Error(`--only ${unknown}: there is no such client; one of ${CLIENTS.map(({ id }) => id).join(', ')}`);
  }
  const chosen = CLIENTS.filter(
    ({ id, repeats }) =>
      (only.length === 0 || only.some((word) => isMeant(id, word))) && !(replay && repeats === false),
  );
  return chosen.flatMap((client) =>
    client.modes.flatMap((mode) => {
      const ways = tls || mode.refusal !== undefined ? [false, true] : [false];
      return ways.map((isTls) => makeRow(client, mode, isTls));
    }),
  );
}

function isMeant(id: string, word: string): boolean {
  return id === word || id.startsWith(`${word}-`);
}

function makeRow(client: Client, { mode, lacks, refusal, http }: Mode, tls: boolean): Row {
  const allLacks: Lacks = { ...client.lacks, ...lacks };
  return {
    client: client.client,
    toolchain: client.toolchain,
    command: client.command,
    environment: client.environment ?? (() => ({})),
    mode,
    tls,
    alias: [client.id, mode, ...(tls ? ['tls'] : [])].join(' ').replaceAll(/[^a-zA-Z0-9.-]+/g, '-'),
    lacks: allLacks,
    checks: CHECKS.filter((check) => allLacks[check] === undefined),
    refusal: tls ? undefined : refusal,
    http,
  };
}
