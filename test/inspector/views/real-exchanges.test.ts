/**
 * What the views say of real exchanges: clients of all kinds against the offline Bedrock, through a proxy that keeps
 * them, looked at by its API.
 */
import AnthropicBedrock from '@anthropic-ai/bedrock-sdk';
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  type ConverseStreamCommandInput,
} from '@aws-sdk/client-bedrock-runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type {
  BlockView,
  DiffView,
  ExchangeDetails,
  ExchangeList,
  FramesView,
  MessagesView,
} from '../../../src/inspector/wire.ts';
import { launchServer, openWorkplace, run, type RunningServer, type Workplace } from '../../helpers/program.ts';

const TOKEN = 'token-for-tests-of-real-exchanges-0123';
const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';

let place: Workplace;
let server: RunningServer;
let key: string;
let url: string;

beforeAll(async () => {
  place = await openWorkplace();
  const made = await run(['key', 'generate', '--json'], place.environment);
  ({ key } = JSON.parse(made.stdout) as { key: string });
  const environment = { ...place.environment, BEDROCK_PROXY_INSPECT_TOKEN: TOKEN };
  server = await launchServer(['--offline', '--inspect'], environment);
  url = `http://127.0.0.1:${server.port}`;
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

async function look<T>(path: string): Promise<T> {
  const response = await fetch(`${url}/inspect/api/v1/${path}`, { headers: { authorization: `Bearer ${TOKEN}` } });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  // The types are those that the API writes.
  return JSON.parse(text) as T;
}

/** The newest exchange that a filter lets through, and all that is said of it. */
async function newest(filter: string) {
  const { items } = await look<ExchangeList>(`exchanges?limit=1&filter=${encodeURIComponent(filter)}`);
  const id = items[0]?.id ?? '';
  return {
    id,
    details: await look<ExchangeDetails>(`exchanges/${id}`),
    frames: await look<FramesView>(`exchanges/${id}/frames`),
    messages: await look<MessagesView>(`exchanges/${id}/messages`),
  };
}

function textOf(blocks: readonly BlockView[] | undefined): string {
  return (blocks ?? []).map((block) => (block.kind === 'text' ? block.text : '')).join('');
}

const client = () =>
  new BedrockRuntimeClient({
    region: 'us-east-1',
    endpoint: `${url}/bedrock`,
    token: { token: key },
    authSchemePreference: ['httpBearerAuth'],
  });

async function converseStream(input: ConverseStreamCommandInput): Promise<string> {
  const { stream } = await client().send(new ConverseStreamCommand(input));
  let text = '';
  for await (const event of stream ?? []) text += event.contentBlockDelta?.delta?.text ?? '';
  return text;
}

describe('a real exchange', () => {
  it('of ConverseStream has frames with right checksums, and the text that the client got', async () => {
    const messages = [{ role: 'user' as const, content: [{ text: 'Say "Grüß dich" 🙂' }] }];
    const text = await converseStream({ modelId: CLAUDE, messages, system: [{ text: 'Be kind.' }] });
    const seen = await newest('op:ConverseStream');
    expect(seen.frames).toMatchObject({ protocol: 'aws-event-stream', end: 'complete', problem: null });
    expect(seen.frames.items.map(({ crc }) => crc)).toEqual(seen.frames.items.map(() => 'ok'));
    expect(seen.frames.items[0]?.type).toBe('messageStart');
    expect(seen.frames.items.at(-1)?.type).toBe('metadata');
    expect(seen.messages).toMatchObject({ form: 'converse', stop: 'end_turn', is_open: false, problem: null });
    expect(text).not.toBe('');
    expect(textOf(seen.messages.response?.blocks)).toBe(text);
    expect(textOf(seen.messages.system)).toBe('Be kind.');
    const { summary, timing, signing, layers } = seen.details;
    expect(summary).toMatchObject({ kind: 'model', source: 'offline', state: 'complete', is_streamed: true });
    expect(timing.steps.map(({ name }) => name)).toContain('response');
    expect(timing.model_latency_ms).toEqual(expect.any(Number));
    expect(signing?.canonical_request).toContain('POST\n/model/');
    expect(JSON.stringify([layers, signing])).not.toContain(key);
    for (const as of ['curl', 'powershell', 'aws-cli', 'boto3', 'js']) {
      const snippet = await look<{ text: string }>(`exchanges/${seen.id}/snippet?as=${as}`);
      expect(snippet.text).toContain(`:${server.port}/bedrock`);
      expect(snippet.text).not.toContain(key);
    }
  });

  it('of Converse has one response, and says how it differs from the turn before', async () => {
    const first = { role: 'user' as const, content: [{ text: 'One.' }] };
    const answer = await client().send(new ConverseCommand({ modelId: CLAUDE, messages: [first] }));
    const before = await newest('op:Converse');
    expect(textOf(before.messages.response?.blocks)).toBe(answer.output?.message?.content?.[0]?.text);
    const said = answer.output?.message;
    const messages = [first, ...(said === undefined ? [] : [said]), { ...first, content: [{ text: 'Two.' }] }];
    await client().send(new ConverseCommand({ modelId: CLAUDE, messages }));
    const after = await newest('op:Converse');
    expect(after.details.summary.conversation).toMatchObject({ id: before.id, turn: 2, previous: before.id });
    const diff = await look<DiffView>(`exchanges/${after.id}/diff?with=${before.id}`);
    expect((await newest(`conv:${before.id}`)).id).toBe(after.id);
    expect(diff.summary).toBe('+2 messages');
  });

  it("of Anthropic's stream through InvokeModel has the text that its client got", async () => {
    const anthropic = new AnthropicBedrock({ baseURL: `${url}/bedrock`, apiKey: key, awsRegion: 'us-east-1' });
    const messages = [{ role: 'user' as const, content: 'Hello' }];
    const message = await anthropic.messages.stream({ model: CLAUDE, max_tokens: 100, messages }).finalMessage();
    const seen = await newest('op:InvokeModelWithResponseStream');
    expect(seen.messages).toMatchObject({ form: 'anthropic', stop: message.stop_reason, problem: null });
    const [block] = message.content;
    expect(textOf(seen.messages.response?.blocks)).toBe(block?.type === 'text' ? block.text : '');
    expect(seen.messages.messages[0]?.blocks[0]).toMatchObject({ pointer: '/messages/0/content' });
  });

  it.each([
    {
      path: '/openai/v1/chat/completions',
      body: { messages: [{ role: 'user', content: 'Hello' }] },
      form: 'openai-chat',
    },
    { path: '/openai/v1/responses', body: { input: 'Hello' }, form: 'openai-responses' },
  ])('of server-sent events at $path has events and text', async ({ path, body, form }) => {
    const response = await fetch(`${url}/bedrock${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'openai.gpt-oss-20b-1:0', stream: true, ...body }),
    });
    await response.text();
    const seen = await newest('');
    expect(seen.frames).toMatchObject({ protocol: 'sse', end: 'complete', problem: null });
    expect(seen.messages).toMatchObject({ form, problem: null });
    expect(textOf(seen.messages.response?.blocks)).toContain('you said: Hello');
  });

  it('that failed says why, and what the proxy refused is its own', async () => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    await fetch(`${url}/bedrock/model/nobody.knows/converse`, { method: 'POST', headers, body: '{"messages":[]}' });
    const failed = await newest('is:error');
    expect(failed.messages.problem).toMatch(/^HTTP 400 ValidationException: /);
    await fetch(`${url}/bedrock/nowhere`, { method: 'POST', headers, body: '{}' });
    const own = await newest('is:own');
    expect(own.details.summary.kind).toBe('own');
    expect(own.messages.problem).toMatch(/^HTTP 4\d\d ERR_/);
  });
});
