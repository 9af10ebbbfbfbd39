/**
 * The program in processes of its own, as its users start it: through the launcher, in an environment that knows
 * nothing of the machine's real AWS settings.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import { withClosing } from './closing.ts';
import { type FakeAws, type FakeAwsOptions, startFakeAws } from './fake-aws.ts';
import { type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';
import { AWS_PAIR } from './testbed.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/bedrock-proxy.js', import.meta.url));

type Environment = Readonly<Record<string, string>>;

/** How a process ended. */
export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process under way. Disposing kills it. */
export interface Program extends AsyncDisposable {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly ended: Promise<ProgramEnd>;
  /** Resolves with all of stderr once it holds `text`; throws where the process ends first. */
  untilStderr(text: string): Promise<string>;
  untilStdout(text: string): Promise<string>;
}

/** A folder for the database and everything else the processes of one test share. Disposing removes it. */
export interface Workplace extends AsyncDisposable {
  readonly folder: string;
  readonly databasePath: string;
  readonly environment: Environment;
}

export async function openWorkplace(): Promise<Workplace> {
  const folder = await mkdtemp(join(tmpdir(), 'program-'));
  const databasePath = join(folder, 'keys.db');
  const environment = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    USERPROFILE: folder,
    XDG_DATA_HOME: join(folder, 'share'),
    AWS_CONFIG_FILE: join(folder, 'aws-config'),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'aws-credentials'),
    AWS_EC2_METADATA_DISABLED: 'true',
    BEDROCK_PROXY_DB: databasePath,
    NO_COLOR: '1',
  };
  return {
    folder,
    databasePath,
    environment,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The owner's credentials as variables. */
export const AWS_VARIABLES: Environment = {
  AWS_ACCESS_KEY_ID: AWS_PAIR.accessKeyId,
  AWS_SECRET_ACCESS_KEY: AWS_PAIR.secretAccessKey,
  AWS_REGION: 'us-east-1',
};

/** What the processes of one test need: a folder, a fake upstream, and the environment that leads to both. */
export interface ProgramTest extends Workplace {
  readonly upstream: FakeUpstream;
}

/**
 * Opens it for the test that runs. After it, the upstream must have seen no fault, and all is closed. Call it before
 * anything that is launched: what is opened last is closed first.
 */
export async function openProgramTest(): Promise<ProgramTest> {
  const place = await openWorkplace();
  const upstream = await startFakeUpstream(AWS_PAIR);
  onTestFinished(async () => {
    await upstream.close();
    await place[Symbol.asyncDispose]();
    expect(upstream.failures).toEqual([]);
  });
  const endpoint = { BEDROCK_PROXY_ENDPOINT_URL: `http://${upstream.authority}` };
  return { ...place, upstream, environment: { ...place.environment, ...AWS_VARIABLES, ...endpoint } };
}

/** What the processes of one test need: a folder, a fake AWS, and an environment with its profiles and its STS. */
export interface AwsTest extends Workplace {
  readonly aws: FakeAws;
}

/**
 * Opens it for the test that runs, as `openProgramTest` does. The profiles are `main` and `second`, one for each
 * account; the credentials of the environment are those of the first. Its region is the first one.
 */
export async function openAwsTest(options: FakeAwsOptions): Promise<AwsTest> {
  const place = await openWorkplace();
  const aws = await startFakeAws(options);
  onTestFinished(async () => {
    await aws[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
    expect(aws.failures).toEqual([]);
  });
  const profiles = aws.accounts.map(({ name, accessKeyId, secretAccessKey }) =>
    [`[profile ${name}]`, `aws_access_key_id = ${accessKeyId}`, `aws_secret_access_key = ${secretAccessKey}`, ''].join(
      '\n',
    ),
  );
  await writeFile(place.environment['AWS_CONFIG_FILE'] ?? '', profiles.join('\n'));
  const [first] = aws.accounts;
  const variables = {
    AWS_ACCESS_KEY_ID: first?.accessKeyId ?? '',
    AWS_SECRET_ACCESS_KEY: first?.secretAccessKey ?? '',
    AWS_REGION: options.regions[0] ?? '',
    AWS_ENDPOINT_URL_STS: aws.sts.url,
    BEDROCK_PROXY_ENDPOINT_URL: aws.url,
  };
  return { ...place, aws, environment: { ...place.environment, ...variables } };
}

export function launch(args: readonly string[], environment: Environment): Program {
  return watch(spawn(process.execPath, [LAUNCHER, ...args], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** The same with so few file descriptors. Not on Windows. */
function launchWithDescriptors(count: number, args: readonly string[], environment: Environment): Program {
  const words = ['-c', `ulimit -n ${count} && exec "$0" "$@"`, process.execPath, LAUNCHER, ...args];
  return watch(spawn('/bin/sh', words, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** Runs to the end. */
export async function run(args: readonly string[], environment: Environment): Promise<ProgramEnd> {
  return await withClosing(async (keep) => await keep(launch(args, environment)).ended);
}

/** A server under way. */
export type RunningServer = Program & { readonly port: number };

/** `start` on a free port; resolves when it listens. */
export async function launchServer(
  args: readonly string[],
  environment: Environment,
  { descriptors }: { readonly descriptors?: number } = {},
): Promise<RunningServer> {
  const all = ['start', '--port', '0', ...args];
  const program =
    descriptors === undefined ? launch(all, environment) : launchWithDescriptors(descriptors, all, environment);
  const talk = await program.untilStderr('address');
  await program.untilStderr('boto3.client');
  const port = Number(/http:\/\/localhost:(\d+)\/bedrock/.exec(talk)?.[1] ?? /:(\d+)\/bedrock/.exec(talk)?.[1]);
  return { ...program, port };
}

function watch(child: ChildProcessByStdio<null, Readable, Readable>): Program {
  const text = { stdout: '', stderr: '' };
  let isOver = false;
  // A test that fails half-way must not leave a server behind.
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const listeners = new Set<() => void>();
  const tell = (): void => listeners.forEach((listener) => listener());
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
      tell();
    });
    child[name].on('error', () => {});
  }
  const ended = new Promise<ProgramEnd>((resolve) => {
    child.once('close', (code, signal) => {
      isOver = true;
      process.off('exit', kill);
      resolve({ code, signal, ...text });
      tell();
    });
  });
  const until =
    (name: 'stdout' | 'stderr') =>
    (wanted: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const found = text[name].includes(wanted);
          if (!found && !isOver) return;
          listeners.delete(check);
          if (found) resolve(text[name]);
          else reject(new Error(`the program ended before it said ${wanted}: ${text.stdout}${text.stderr}`));
        };
        listeners.add(check);
        check();
      });
  return {
    child,
    ended,
    untilStderr: until('stderr'),
    untilStdout: until('stdout'),
    [Symbol.asyncDispose]: async () => {
      if (isOver) return;
      kill();
      await ended;
    },
  };
}
