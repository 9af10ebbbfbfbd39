/**
 * `bedrock-proxy/vitest`: a proxy for the tests of one file, or of one `describe`. It is started before the first of
 * them, the variables of the AWS SDKs point to it meanwhile, and it ends after the last one. Its types stand in this
 * file, because the package ships those of no other.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describeClient } from '../cli/env/client-settings.ts';
import { startServerChild, type StartedServer } from '../cli/exec/server.ts';

// Of the package under test, not of ours: whoever imports this file has it.
const { afterAll, beforeAll } = await import('vitest');

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
}

const DEFAULT_REGION = 'us-east-1';
/** A database of its own, without a key: the proxy takes whatever a client of this machine signs with. */
const FAKE_PAIR = { accessKeyId: 'AKIATESTTESTTESTTEST', key: 'no-secret-at-all' };
const HOOK_TIMEOUT_MS = 30_000;

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
    await server?.end();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true, maxRetries: 3 });
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
  };
}

/** What the shell says to a proxy of its own is not for this one. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(?:BEDROCK_PROXY_|LITELLM_|DATABASE_URL$)/.test(name));
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
