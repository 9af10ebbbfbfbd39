/**
 * `chat`: one question to one model, and its answer as it comes. Through the proxy that runs, if it is ours and nothing
 * was said about the upstream; otherwise through one in this process.
 */
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Config } from '../../config/config.ts';
import { type Flags, parseInteger } from '../../config/options.ts';
import { ProxyError } from '../../lib/errors.ts';
import { asObject, asObjects, asText, type JsonObject, parseJsonObject } from '../../lib/json.ts';
import { escapeUnprintable } from '../../lib/printable.ts';
import { FrameSplitter, parseFrameHeaders } from '../../protocol/event-stream.ts';
import { printJson, printTalk } from '../../app/print.ts';
import { explainFailure } from '../doctor/calls.ts';
import { readClientConfig } from '../exec/outer-proxy.ts';
import { findClientKey } from '../key/client-key.ts';
import { findOwnProxy, withBedrock } from './bedrock.ts';

interface ChatInput extends Flags {
  readonly model: string;
  readonly message: readonly string[] | undefined;
  readonly system: string | undefined;
  readonly maxTokens: string | undefined;
  readonly key: string | undefined;
  readonly json: boolean;
}

/** Where the question goes. */
interface ChatAddress {
  readonly url: string;
  readonly key: string;
}

/** Prints the answer. Throws ERR_BAD_REQUEST with the words of AWS or the proxy if there is none. */
export async function chat(input: ChatInput): Promise<void> {
  const config = readClientConfig(input, process.env);
  const body = await readQuestion(input);
  const running = await findAddress(config, input);
  const ask = async (address: ChatAddress): Promise<void> =>
    input.json ? askAtOnce(address, input.model, body) : askForStream(address, input.model, body);
  return running === undefined ? withBedrock(config, ({ address }) => ask(address)) : ask(running);
}

async function readQuestion({ message = [], system, maxTokens }: ChatInput): Promise<object> {
  const isPiped = message.length === 0 || message.includes('-');
  if (isPiped && process.stdin.isTTY === true) printTalk('Type a message, and end it with Ctrl-D.');
  const piped = isPiped ? (await text(process.stdin)).trim() : '';
  const parts = message.length === 0 ? [piped] : message.map((part) => (part === '-' ? `\n${piped}` : part));
  const question = parts.join(' ').trim();
  if (question === '')
    throw new ProxyError('ERR_BAD_OPTION', 'There is no message.', {
      hint: "Give one: `bedrock-proxy chat MODEL 'hi'`.",
    });
  const limit =
    maxTokens === undefined ? undefined : parseInteger({ value: maxTokens, origin: '--max-tokens' }, 1, 10_000_000);
  return {
    messages: [{ role: 'user', content: [{ text: question }] }],
    ...(system === undefined ? {} : { system: [{ text: system }] }),
    ...(limit === undefined ? {} : { inferenceConfig: { maxTokens: limit } }),
  };
}

/** Undefined: the proxy that runs is not to be asked. */
async function findAddress(config: Config, input: ChatInput): Promise<ChatAddress | undefined> {
  const running = await findOwnProxy(config, input);
  if (running === undefined) return undefined;
  const { url } = running;
  const { masterKey } = config;
  if (input.key === undefined && masterKey !== undefined) return { url, key: masterKey };
  return { url, key: (await findClientKey(input.key, config)).key };
}

async function askAtOnce(address: ChatAddress, model: string, body: object): Promise<void> {
  const response = await post(address, model, 'converse', body);
  const answer = parseJsonObject(Buffer.from(await text(response))) ?? {};
  const { headers } = response;
  printJson({
    model,
    text: textOf(asObjects(asObject(asObject(answer['output'])['message'])['content'])),
    stop_reason: answer['stopReason'] ?? null,
    usage: answer['usage'] ?? null,
    latency_ms: asObject(answer['metrics'])['latencyMs'] ?? null,
    cost_usd: headers['x-bedrock-proxy-cost'] ?? null,
    request_id: headers['x-bedrock-proxy-request-id'] ?? null,
  });
}

function textOf(content: readonly JsonObject[]): string {
  return content.map((block) => asText(block['text'])).join('');
}

async function askForStream(address: ChatAddress, model: string, body: object): Promise<void> {
  const response = await post(address, model, 'converse-stream', body);
  const splitter = new FrameSplitter();
  let usage: JsonObject = {};
  let stopReason = '';
  for await (const chunk of response) {
    for (const { headers, payload } of splitter.push(chunk as Buffer)) {
      const named = parseFrameHeaders(headers);
      const read = (name: string): string => String(named.get(name)?.value ?? '');
      const event = parseJsonObject(payload) ?? {};
      if (read(':message-type') !== 'event') {
        throw new ProxyError(
          'ERR_BAD_REQUEST',
          `The answer broke off: ${read(':exception-type')}: ${asText(event['message'])}`,
        );
      }
      if (read(':event-type') === 'contentBlockDelta') write(asText(asObject(event['delta'])['text']));
      if (read(':event-type') === 'messageStop') stopReason = asText(event['stopReason']);
      if (read(':event-type') === 'metadata') usage = event;
    }
  }
  process.stdout.write('\n');
  tellUsage(usage, stopReason);
}

/** Of a model, which may have been told to write anything: on a terminal no control but line breaks and tabs. */
function write(words: string): void {
  const isTerminal = process.stdout.isTTY === true;
  process.stdout.write(
    isTerminal
      ? words
          .split(/([\n\t])/)
          .map((part) => (part === '\n' || part === '\t' ? part : escapeUnprintable(part)))
          .join('')
      : words,
  );
}

function tellUsage(metadata: JsonObject, stopReason: string): void {
  const { inputTokens, outputTokens } = asObject(metadata['usage']);
  const { latencyMs } = asObject(metadata['metrics']);
  if (typeof inputTokens !== 'number' || typeof outputTokens !== 'number') return;
  const latency = typeof latencyMs === 'number' ? `, ${latencyMs} ms` : '';
  const end = stopReason === '' || stopReason === 'end_turn' ? '' : `, ended by ${stopReason}`;
  printTalk(`${inputTokens} tokens in, ${outputTokens} out${latency}${end}`);
}

/** Resolves with a response of 200. */
async function post(
  { url, key }: ChatAddress,
  model: string,
  operation: string,
  body: object,
): Promise<IncomingMessage> {
  const headers = {
    authorization: `Bearer ${key}`,
    'content-type': 'application/json',
    'user-agent': 'bedrock-proxy-chat',
  };
  const target = `${url}/model/${encodeURIComponent(model)}/${operation}`;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(target, { method: 'POST', headers, agent: false }, resolve);
    outgoing.once('error', reject);
    outgoing.end(JSON.stringify(body));
  });
  if (response.statusCode === 200) return response;
  const chunks = [Buffer.from(await text(response), 'utf8')];
  const failure = explainFailure({
    status: response.statusCode ?? 0,
    headers: response.headers,
    chunks,
    receivedAtMs: 0,
  });
  throw new ProxyError('ERR_BAD_REQUEST', failure.words, {
    hint: /on-demand throughput|model identifier is invalid/i.test(failure.words)
      ? 'See `bedrock-proxy models` for ids that can be called: some models are called by an inference profile only.'
      : failure.hint,
  });
}
