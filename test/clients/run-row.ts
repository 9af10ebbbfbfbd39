// Runs one client in one mode: a process with an environment such as a user sets, and nothing else in it, whose
// standard output is one JSON object a line. It does not judge what it says.
import { execFileSync, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import process from 'node:process';
import type { RunningProxy, VirtualKey } from './proxy.ts';
import type { Row } from './rows.ts';

/** What a client printed, a JSON object a line: its version, or what became of a check. */
export interface Told {
  readonly version?: string;
  readonly check?: string;
  readonly ok?: boolean;
  readonly detail?: string;
}

export interface Outcome {
  readonly lines: readonly Told[];
  /** Its standard error. */
  readonly complaint: string;
  /** How the process ended. */
  readonly end: string;
  readonly elapsedMs: number;
}

interface ServerDependencies {
  readonly root: string;
  readonly installed: string;
  /** Of this row alone, and empty. */
  readonly home: string;
  readonly key: VirtualKey;
  readonly proxy: RunningProxy;
  readonly signal: AbortSignal;
}

/** A client that hangs is ended after so long. */
const ROW_LIMIT_MS = 120_000;
const REGION = 'us-east-1';
/** Comes with every JDK. */
const KEYTOOL = 'keytool';
/** Services whose endpoint is set one by one, as README tells. */
const SERVICES = ['BEDROCK', 'BEDROCK_RUNTIME', 'BEDROCK_AGENT_RUNTIME', 'BEDROCK_AGENTCORE'];

/** Lets so many pieces of work in at a time; the others wait in order. */
export function createTurnstile(width: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let inside = 0;
  return async (work) => {
    if (inside >= width) await new Promise<void>((resolve) => waiting.push(resolve));
    else inside += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) inside -= 1;
      else next();
    }
  };
}

/** Gives the objects that the client printed, what it complained of, and how it ended. */
export async function runRow(row: Row, dependencies: ServerDependencies): Promise<Outcome> {
  const { home, signal } = dependencies;
  const [command = '', ...args] = row.command(dependencies);
  const env = environmentOf(row, dependencies);
  const startedAt = performance.now();
  // A group of its own, so that what it starts ends with it.
  const child = spawn(command, args, { env, cwd: home, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  let complaint = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (output += piece));
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (complaint += piece));
  let timedOut = false;
  const kill = (): void => killGroup(child.pid);
  const limit = setTimeout(() => {
    timedOut = true;
    kill();
  }, ROW_LIMIT_MS);
  signal.addEventListener('abort', kill, { once: true });
  const ended = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, name) => resolve(name ?? `exit code ${code}`));
  });
  clearTimeout(limit);
  signal.removeEventListener('abort', kill);
  const lines = output.split('\n').flatMap(parseLine);
  const end = timedOut ? `ended after ${ROW_LIMIT_MS / 1000} s` : ended;
  return { lines, complaint: complaint.trim(), end, elapsedMs: performance.now() - startedAt };
}

/** Nothing of this machine's own settings reaches the client but the PATH. */
function environmentOf(row: Row, dependencies: ServerDependencies): Record<string, string> {
  const { home, key, proxy } = dependencies;
  const url = row.tls ? proxy.tlsUrl : proxy.url;
  const endpoints = SERVICES.map((service) => [`AWS_ENDPOINT_URL_${service}`, url]);
  return {
    PATH: [dirname(process.execPath), process.env['PATH']].join(':'),
    HOME: home,
    TMPDIR: home,
    LANG: 'C.UTF-8',
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_MAX_ATTEMPTS: '2',
    AWS_EC2_METADATA_DISABLED: 'true',
    // The programs run where they are in the checkout.
    PYTHONDONTWRITEBYTECODE: '1',
    ...Object.fromEntries(endpoints),
    ANTHROPIC_BEDROCK_BASE_URL: url,
    OPENAI_BASE_URL: `${url}/openai/v1`,
    AWS_BEDROCK_BASE_URL: `${url}/openai/v1`,
    ...credentialsOf(row.mode, key),
    ...(row.tls ? trustOf(proxy.caFile, row.toolchain === 'java' ? join(home, 'trust.p12') : undefined) : {}),
    PROXY_URL: url,
    VIRTUAL_KEY: key.key,
    PAIR_ID: key.accessKeyId,
    MODE: row.mode,
    CHECKS: row.checks.join(','),
    ...row.environment(dependencies),
  };
}

function credentialsOf(mode: string, { key, accessKeyId }: VirtualKey): Record<string, string> {
  if (mode.startsWith('bearer')) return { AWS_BEARER_TOKEN_BEDROCK: key };
  if (mode.startsWith('SigV4')) return { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: key };
  if (mode.startsWith('header')) return { AWS_ACCESS_KEY_ID: 'dummy', AWS_SECRET_ACCESS_KEY: 'dummy' };
  return {};
}

/**
 * Each language has its own way to be told of a certificate authority; Java wants a store made, where `javaStore` says.
 */
function trustOf(caFile: string, javaStore: string | undefined): Record<string, string> {
  const trust = { AWS_CA_BUNDLE: caFile, NODE_EXTRA_CA_CERTS: caFile, SSL_CERT_FILE: caFile };
  if (javaStore === undefined) return trust;
  const password = 'changeit';
  const words = ['-importcert', '-noprompt', '-alias', 'proxy', '-file', caFile, '-keystore', javaStore];
  execFileSync(KEYTOOL, [...words, '-storepass', password], { stdio: 'ignore' });
  const options = `-Djavax.net.ssl.trustStore=${javaStore} -Djavax.net.ssl.trustStorePassword=${password}`;
  return { ...trust, JAVA_TOOL_OPTIONS: options };
}

function parseLine(line: string): Told[] {
  if (!line.startsWith('{')) return [];
  try {
    return [JSON.parse(line) as Told];
  } catch {
    return [];
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}
