/**
 * The program as its users start it, with several ways to a fake AWS: its file of upstreams, a key with a budget, and
 * what client, ledger, budget and AWS say of a request.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { openCli } from './cli.ts';
import type { Bill, FakeAws, FakeAwsOptions } from './fake-aws.ts';
import { type AwsTest, launchServer, openAwsTest, type RunningServer } from './program.ts';

/** Has a price of AWS's: 60 nano-dollars an input token, 240 an output token, in the US. */
export const NOVA = 'amazon.nova-lite-v1:0';
/** What a body may say at most. */
const MAX_TOKENS = 100;

/** What the ledger has of a request, by the names of its columns. */
export interface LedgerLine {
  readonly status: number | null;
  readonly error: string | null;
  readonly model: string | null;
  readonly region: string | null;
  readonly upstream: string | null;
  readonly attempts: number | null;
  readonly pricing: string;
  readonly cost_nano_usd: number | null;
  readonly charged_nano_usd: number | null;
  readonly partial: boolean;
  readonly output_tokens: number | null;
  readonly [column: string]: unknown;
}

/** What the budget of a key says, in dollars as decimal text. */
export interface Spend {
  readonly total_usd: string;
  readonly reserved_usd: string;
}

/** A response, whole: how far it came is in `isWhole`. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
  /** False if the connection broke in the middle of it. */
  readonly isWhole: boolean;
}

export interface UpstreamsTest extends AwsTest {
  readonly server: RunningServer;
  /** Of the key `tester`, which has a budget. */
  readonly key: string;
  /** The same, as a pair. */
  readonly accessKeyId: string;
  /** In this process. Throws if it fails. */
  cli(...args: readonly string[]): Promise<string>;
  send(path: string, more?: SendOptions): Promise<Reply>;
  /** Converse with Nova Lite. */
  converse(text?: string, more?: SendOptions): Promise<Reply>;
  /** Writes the file of upstreams anew. */
  write(upstreams: readonly object[]): Promise<void>;
  /** All rows of the ledger, the oldest first; waits until there are so many. */
  ledger(count: number): Promise<LedgerLine[]>;
  spend(): Promise<Spend>;
}

export interface SendOptions {
  readonly method?: string;
  readonly body?: string | Buffer<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly key?: string;
}

export interface UpstreamsTestOptions extends FakeAwsOptions {
  /** Those of the file; undefined: no file. */
  readonly upstreams?: (aws: FakeAws) => readonly object[];
  /** Of `start`. */
  readonly args?: readonly string[];
  /** Of `key generate`. */
  readonly keyArgs?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** A body of Converse, or, with `model`, of chat completions and messages. */
export function bodyOf(text: string, more: object = {}): string {
  const messages = [{ role: 'user', content: [{ text, type: 'text' }] }];
  return JSON.stringify({ messages, inferenceConfig: { maxTokens: MAX_TOKENS }, max_tokens: MAX_TOKENS, ...more });
}

/** Opens all of it for the test that runs, and closes it after it. */
export async function openUpstreamsTest(options: UpstreamsTestOptions): Promise<UpstreamsTest> {
  const test = await openAwsTest(options);
  const environment = { ...test.environment, ...options.environment };
  const commands = await openCli();
  const cli = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await commands.run(args, environment);
    if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const file = join(test.folder, 'upstreams.json');
  const write = (upstreams: readonly object[]): Promise<void> => writeFile(file, JSON.stringify({ upstreams }));
  const listed = options.upstreams?.(test.aws);
  if (listed !== undefined) await write(listed);
  const made = await cli(
    'key',
    'generate',
    '--alias',
    'tester',
    '--budget',
    '100',
    '--json',
    ...(options.keyArgs ?? []),
  );
  const { key, access_key_id: accessKeyId } = JSON.parse(made) as { key: string; access_key_id: string };
  const args = [...(listed === undefined ? [] : ['--upstreams', file]), ...(options.args ?? [])];
  const server = await launchServer(args, environment);
  onTestFinished(() => server[Symbol.asyncDispose]());
  const send: UpstreamsTest['send'] = (path, more = {}) => sendTo(server.port, path, { key, ...more });
  const readLedger = async (): Promise<LedgerLine[]> => {
    const text = await cli('logs', '--json', '--since', 'all');
    const lines = text.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as LedgerLine);
  };
  return {
    ...test,
    environment,
    server,
    key,
    accessKeyId,
    cli,
    send,
    converse: (text = 'Hello', more = {}) => send(`/model/${NOVA}/converse`, { body: bodyOf(text), ...more }),
    write,
    ledger: async (count) => {
      await expect.poll(async () => (await readLedger()).length, { interval: 20, timeout: 5_000 }).toBe(count);
      return readLedger();
    },
    spend: async () => (JSON.parse(await cli('key', 'show', 'tester', '--json')) as { spend: Spend }).spend,
  };
}

async function sendTo(
  port: number,
  path: string,
  { method = 'POST', body, headers, key }: SendOptions,
): Promise<Reply> {
  const response = await fetch(`http://127.0.0.1:${port}/bedrock${path}`, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...headers,
    },
    ...(method === 'GET' ? {} : { body: body ?? bodyOf('Hello') }),
  });
  const chunks: Uint8Array[] = [];
  let isWhole = true;
  try {
    for await (const chunk of response.body ?? []) chunks.push(chunk as Uint8Array);
  } catch {
    isWhole = false;
  }
  return { status: response.status, headers: response.headers, body: Buffer.concat(chunks), isWhole };
}

/** What Nova Lite costs, in nano-dollars. */
export function novaCost({ inputTokens, outputTokens }: Pick<Bill, 'inputTokens' | 'outputTokens'>): number {
  return inputTokens * 60 + outputTokens * 240;
}
