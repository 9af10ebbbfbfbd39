/**
 * `bedrock-proxy/vitest`: a proxy for the tests of one file, or of one `describe`. It is started before the first of
 * them, the variables of the AWS SDKs point to it meanwhile, and it ends after the last one. Its types stand in this
 * file, because the package ships those of no other.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describeClient } from '../cli/env/client-settings.ts';
import { asObject, asObjects, asText, isObject } from '../lib/json.ts';
import { startServerChild, type StartedServer } from '../cli/exec/server.ts';

// Of the package under test, not of ours: whoever imports this file has it.
const { afterAll, afterEach, beforeAll, expect } = await import('vitest');

/** How a cassette is played. */
export interface CassetteSetting {
  /** Where the cassettes are; `cassettes` in the folder in which the tests run if it is left out. */
  readonly directory?: string;
  /** BEDROCK_PROXY_CASSETTE_MODE in the environment wins over it; `replay` if neither is there. */
  readonly mode?: 'replay' | 'auto' | 'record';
  /** Whether recordings that no test has used fail the tests. */
  readonly strict?: boolean;
  /** For requests that name none; us-east-1 if it is left out. */
  readonly region?: string;
}

/** What the offline Bedrock answers. */
export interface OfflineBedrockSetting {
  /** The path of a script, or its content: `{ rules: [{ when: …, answer: … }] }`. */
  readonly script?: string | { readonly rules: readonly object[] };
  /** For requests that name none; us-east-1 if it is left out. */
  readonly region?: string;
}

/** The proxy of the tests. To be read within a test or a hook: before them it has not started. */
export interface BedrockForTests {
  /** For clients that read no variables: `http://127.0.0.1:41234/bedrock`. */
  readonly url: string;
  /** The variables that are set while the tests run. */
  readonly environment: Readonly<Record<string, string>>;
  /** To be sent by a client whose test shall have a sub-directory of the cassette to itself, named after the test. */
  readonly headers: Readonly<Record<string, string>>;
}

const MODE_VARIABLE = 'BEDROCK_PROXY_CASSETTE_MODE';
const DEFAULT_REGION = 'us-east-1';
/** A database of its own, without a key: the proxy takes whatever a client of this machine signs with. */
const FAKE_PAIR = { accessKeyId: 'AKIATESTTESTTESTTEST', key: 'no-secret-at-all' };
const HOOK_TIMEOUT_MS = 30_000;

/**
 * Plays the cassette of this name to the tests of this file, or of the `describe` in which it stands. A request without
 * a recording fails the test that sent it, even if the program under test has caught the error.
 */
export function useCassette(name: string, options: CassetteSetting = {}): BedrockForTests {
  const folder = resolve(options.directory ?? 'cassettes', name);
  const missesFile = join(folder, 'misses.ndjson');
  let seenBytes = 0;
  const bedrock = useProxy(async () => {
    const mode = process.env[MODE_VARIABLE] || (options.mode ?? 'replay');
    const strict = options.strict === true ? ['--cassette-strict'] : [];
    return { args: ['--cassette', folder, '--cassette-mode', mode, ...strict], region: options.region };
  });
  // What earlier runs have missed is not this one's. What a hook of the tests misses, the next test is told.
  beforeAll(() => {
    seenBytes = readFrom(missesFile, 0).length;
  });
  afterEach(() => {
    const bytes = readFrom(missesFile, seenBytes);
    seenBytes += bytes.length;
    const misses = bytes.toString().split('\n').filter(Boolean).map(explainLine);
    if (misses.length > 0) throw new Error(misses.join('\n\n'));
  });
  return bedrock;
}

/** Answers the tests from the offline Bedrock, by a script if there is one. */
export function useOfflineBedrock({ script, region }: OfflineBedrockSetting = {}): BedrockForTests {
  return useProxy(async (folder) => {
    if (script === undefined) return { args: ['--offline'], region };
    const path = typeof script === 'string' ? resolve(script) : join(folder, 'script.json');
    if (typeof script !== 'string') await writeFile(path, JSON.stringify(script));
    return { args: ['--offline', '--script', path], region };
  });
}

interface Setting {
  readonly args: readonly string[];
  readonly region: string | undefined;
}

function useProxy(prepare: (folder: string) => Promise<Setting>): BedrockForTests {
  let running: { readonly url: string; readonly environment: Readonly<Record<string, string>> } | undefined;
  let server: StartedServer | undefined;
  let folder: string | undefined;
  let restore: (() => void) | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bedrock-proxy-'));
    const { args, region = DEFAULT_REGION } = await prepare(folder);
    server = await startServerChild(['--db', join(folder, 'keys.db'), '--region', region, ...args], cleanEnvironment());
    const { url } = server;
    const { set, unset } = describeClient({ client: undefined, url, region, ...FAKE_PAIR });
    const environment = Object.fromEntries(set);
    restore = changeEnvironment(environment, unset);
    running = { url, environment };
  }, HOOK_TIMEOUT_MS);
  afterAll(async () => {
    restore?.();
    running = undefined;
    const exitCode = await server?.end();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    // Of what was missed the tests were told; a strict cassette has recordings that none of them used.
    if (exitCode === 1) throw new Error('The cassette was not played as it is; what the proxy says stands above.');
  }, HOOK_TIMEOUT_MS);
  const find = (): NonNullable<typeof running> => {
    if (running !== undefined) return running;
    throw new Error('The proxy runs within tests and hooks only: read `url` there, and make clients there.');
  };
  return {
    get url() {
      return find().url;
    },
    get environment() {
      return find().environment;
    },
    get headers() {
      return { 'x-bedrock-proxy-cassette': slugOf(expect.getState().currentTestName ?? '') };
    },
  };
}

/** What the shell says to a proxy of its own is not for this one; what it says to AWS is, for recording. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(?:BEDROCK_PROXY_|LITELLM_|DATABASE_URL$)/.test(name) || name === MODE_VARIABLE,
  );
  return Object.fromEntries(kept);
}

/** Sets and unsets variables of this process. The result puts back what was there. */
function changeEnvironment(set: Readonly<Record<string, string>>, unset: readonly string[]): () => void {
  const names = [...Object.keys(set), ...unset];
  const before = names.map((name) => [name, process.env[name]] as const);
  for (const name of unset) delete process.env[name];
  Object.assign(process.env, set);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

/** `orders > refuses a refund` as the name of a directory: `orders-refuses-a-refund`. */
function slugOf(testName: string): string {
  const words = testName.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return words.join('-').slice(0, 100).replace(/-$/, '') || 'test';
}

function readFrom(path: string, offset: number): Buffer {
  return existsSync(path) ? readFileSync(path).subarray(offset) : Buffer.alloc(0);
}

/** A line of misses.ndjson, for people. */
function explainLine(line: string): string {
  const miss = asObject(JSON.parse(line));
  const [nearest] = asObjects(miss['nearest']);
  const rule = nearest?.['match'];
  const words = asText(miss['message']);
  if (!isObject(rule)) return words;
  return `${words}\nIt would match with this in cassette.json: "match": ${JSON.stringify(rule)}`;
}
