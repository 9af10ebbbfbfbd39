/** `start --offline --script`: the same rules through every API, whole and streamed, as clients see them. */
import AnthropicBedrock, { AnthropicBedrockMantle } from '@anthropic-ai/bedrock-sdk';
import {
  BedrockRuntimeClient,
  ConverseCommand,
  type ConverseCommandInput,
  ConverseStreamCommand,
  InvokeModelCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchServer, openWorkplace, run, type RunningServer, type Workplace } from '../helpers/program.ts';

const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const GPT = 'openai.gpt-oss-20b-1:0';
const NOVA = 'amazon.nova-lite-v1:0';
const SCHEMA = { type: 'object' as const, properties: { city: { type: 'string' as const } } };
const CALL = { name: 'get_weather', input: { city: 'Paris' } };
const USAGE = { inputTokens: 4_321, outputTokens: 87 };
const RULES = [
  {
    when: { words: 'weather', tool: 'get_weather' },
    answer: { text: 'Let me see.', toolCalls: [CALL, { name: 'get_weather', input: { city: 'Rome' } }], usage: USAGE },
  },
  { when: { toolResult: 'rain' }, answer: { text: 'Take an umbrella.' } },
  { when: { words: 'flaky' }, times: 1, answer: { error: 'throttle' } },
  { when: { words: 'flaky' }, answer: { text: 'Here I am.' } },
  {
    when: { words: 'too long' },
    answer: { error: { type: 'ValidationException', message: 'Input is too long for requested model.' } },
  },
  { when: { words: 'break off' }, answer: { error: 'stream-error' } },
  { when: { words: 'as JSON' }, answer: { json: { total: 3 } } },
  { when: { words: 'a novel' }, answer: { text: 'Once upon', stopReason: 'max_tokens' } },
  { when: { words: 'cached' }, answer: { text: 'Yes.', usage: { inputTokens: 5, cacheReadTokens: 2_000 } } },
  { when: { model: 'amazon.titan-embed*', words: 'no vector' }, answer: { error: 'model-error' } },
  { when: { words: 'hello' }, answer: { text: 'Good day.', usage: USAGE } },
];

let place: Workplace;
let server: RunningServer;
let key: string;
let url: string;
let client: BedrockRuntimeClient;

const fileOf = (name: string): string => join(place.folder, name);

beforeAll(async () => {
  place = await openWorkplace();
  writeFileSync(fileOf('script.json'), JSON.stringify({ rules: RULES }));
  const made = await run(['key', 'generate', '--json'], place.environment);
  ({ key } = JSON.parse(made.stdout) as { key: string });
  server = await launchServer(['--offline', '--script', fileOf('script.json')], place.environment);
  url = `http://localhost:${server.port}/bedrock`;
  client = new BedrockRuntimeClient({
    region: 'us-east-1',
    endpoint: url,
    token: { token: key },
    authSchemePreference: ['httpBearerAuth'],
    maxAttempts: 1,
  });
});

afterAll(async () => {
  client.destroy();
  await server[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

function ask(text: string, rest: Partial<ConverseCommandInput> = {}): ConverseCommandInput {
  return { modelId: NOVA, messages: [{ role: 'user', content: [{ text }] }], ...rest };
}

function embed(inputText: string): Promise<unknown> {
  const body = JSON.stringify({ inputText });
  return client.send(new InvokeModelCommand({ modelId: 'amazon.titan-embed-text-v2:0', body }));
}

async function post(path: string, body: object): Promise<string> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  return (await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })).text();
}

const toolConfig = { tools: [{ toolSpec: { name: 'get_weather', inputSchema: { json: SCHEMA } } }] };

describe('Converse', () => {
  it('says a text and calls tools, with the usage of the script', async () => {
    const { output, usage, stopReason } = await client.send(new ConverseCommand(ask('The weather?', { toolConfig })));
    expect(output?.message?.content).toMatchObject([
      { text: 'Let me see.' },
      { toolUse: { name: 'get_weather', input: { city: 'Paris' } } },
      { toolUse: { name: 'get_weather', input: { city: 'Rome' } } },
    ]);
    expect(usage).toMatchObject({ ...USAGE, totalTokens: 4_408 });
    expect(stopReason).toBe('tool_use');
    expect(new Set(output?.message?.content?.map((block) => block.toolUse?.toolUseId)).size).toBe(3);
  });

  it('goes on after the result of a tool', async () => {
    const { output } = await client.send(new ConverseCommand(ask('The weather?', { toolConfig })));
    const call = output?.message?.content?.[1]?.toolUse;
    const result = { toolUseId: call?.toolUseId, content: [{ text: 'heavy rain' }] };
    const messages = [
      ...(ask('The weather?').messages ?? []),
      { role: 'assistant' as const, content: [{ toolUse: call ?? {} }] },
      { role: 'user' as const, content: [{ toolResult: result }] },
    ] as ConverseCommandInput['messages'];
    const { output: next } = await client.send(new ConverseCommand({ modelId: NOVA, messages, toolConfig }));
    expect(next?.message?.content).toEqual([{ text: 'Take an umbrella.' }]);
  });

  it('streams the same', async () => {
    const { stream } = await client.send(new ConverseStreamCommand(ask('Hello!')));
    let text = '';
    let usage: unknown;
    for await (const event of stream ?? []) {
      text += event.contentBlockDelta?.delta?.text ?? '';
      usage = event.metadata?.usage ?? usage;
    }
    expect([text, usage]).toEqual(['Good day.', expect.objectContaining(USAGE)]);
  });

  it.each([
    { name: 'JSON', text: 'Answer as JSON.', content: [{ text: '{"total":3}' }], stopReason: 'end_turn' },
    { name: 'a text that is cut', text: 'Write a novel.', content: [{ text: 'Once upon' }], stopReason: 'max_tokens' },
  ])('says $name', async ({ text, content, stopReason }) => {
    const response = await client.send(new ConverseCommand(ask(text)));
    expect(response).toMatchObject({ output: { message: { content } }, stopReason });
  });

  it('fails as the script says, once or always', async () => {
    await expect(client.send(new ConverseCommand(ask('flaky')))).rejects.toMatchObject({ name: 'ThrottlingException' });
    const { output } = await client.send(new ConverseCommand(ask('flaky')));
    expect(output?.message?.content).toEqual([{ text: 'Here I am.' }]);
    await expect(client.send(new ConverseCommand(ask('This is too long')))).rejects.toMatchObject({
      name: 'ValidationException',
      message: 'Input is too long for requested model.',
    });
  });

  it('breaks a stream off with a frame of an exception', async () => {
    const { stream } = await client.send(new ConverseStreamCommand(ask('break off')));
    const read = async (): Promise<void> => {
      for await (const event of stream ?? []) void event;
    };
    await expect(read()).rejects.toMatchObject({ name: 'ModelStreamErrorException' });
  });

  it('answers by itself what no rule is for', async () => {
    const { output } = await client.send(new ConverseCommand(ask('Something else')));
    expect(output?.message?.content?.[0]?.text).toContain('you said: Something else');
  });
});

describe('InvokeModel', () => {
  const LLAMA = 'us.meta.llama3-3-70b-instruct-v1:0';
  it.each([
    { name: "Anthropic's shape", modelId: CLAUDE, body: { anthropic_version: 'bedrock-2023-05-31', max_tokens: 99 } },
    { name: "Nova's shape", modelId: NOVA, body: { messages: [{ role: 'user', content: [{ text: 'hello' }] }] } },
    { name: "OpenAI's shape", modelId: GPT, body: {} },
    { name: 'a text shape', modelId: LLAMA, body: { prompt: 'hello' } },
  ])('speaks in $name, with the usage of the script in the headers', async ({ modelId, body }) => {
    const messages = [{ role: 'user', content: 'hello' }];
    const all = modelId === LLAMA ? body : { messages, ...body };
    const response = await fetch(`${url}/model/${encodeURIComponent(modelId)}/invoke`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(all),
    });
    expect(await response.text()).toContain('Good day.');
    const counts = ['input', 'output'].map((name) => response.headers.get(`x-amzn-bedrock-${name}-token-count`));
    expect(counts).toEqual(['4321', '87']);
  });

  it('fails for embeddings', async () => {
    await expect(embed('no vector')).rejects.toMatchObject({ name: 'ModelErrorException' });
    await expect(embed('hello')).resolves.toBeDefined();
  });
});

describe("Anthropic's and OpenAI's APIs", () => {
  const ASKED = { max_tokens: 100, messages: [{ role: 'user' as const, content: 'The weather?' }] };
  const TOOLS = [{ name: 'get_weather', input_schema: SCHEMA }];
  const blocks = [
    { type: 'text', text: 'Let me see.' },
    { type: 'tool_use', name: 'get_weather', input: { city: 'Paris' } },
    { type: 'tool_use', name: 'get_weather', input: { city: 'Rome' } },
  ];

  it.each([
    {
      name: 'AnthropicBedrock',
      open: () => new AnthropicBedrock({ baseURL: url, apiKey: key, awsRegion: 'us-east-1' }),
      model: CLAUDE,
    },
    {
      name: 'AnthropicBedrockMantle',
      open: () => new AnthropicBedrockMantle({ baseURL: `${url}/anthropic`, apiKey: key, awsRegion: 'us-east-1' }),
      model: 'anthropic.claude-haiku-4-5',
    },
  ])('calls tools in $name, whole and streamed', async ({ open, model }) => {
    const anthropic = open();
    const whole = await anthropic.messages.create({ ...ASKED, model, tools: TOOLS });
    expect(whole.content).toMatchObject(blocks);
    expect(whole.usage).toMatchObject({ input_tokens: 4_321, output_tokens: 87 });
    const streamed = await anthropic.messages.stream({ ...ASKED, model, tools: TOOLS }).finalMessage();
    expect(streamed.content).toMatchObject(blocks);
  });

  it('calls tools in chat completions, whole and streamed', async () => {
    const tools = [{ type: 'function', function: { name: 'get_weather', parameters: SCHEMA } }];
    const body = { model: GPT, messages: ASKED.messages, tools };
    const whole: unknown = JSON.parse(await post('/openai/v1/chat/completions', body));
    const calls = ['Paris', 'Rome'].map((city) => ({
      function: { name: 'get_weather', arguments: JSON.stringify({ city }) },
    }));
    const message = { content: 'Let me see.', tool_calls: calls };
    expect(whole).toMatchObject({
      choices: [{ message, finish_reason: 'tool_calls' }],
      usage: { prompt_tokens: 4_321, completion_tokens: 87 },
    });
    const streamed = await post('/openai/v1/chat/completions', { ...body, stream: true });
    const indexes = [...streamed.matchAll(/"tool_calls":\[\{"index":(\d)/g)].map(([, index]) => index);
    expect(indexes).toEqual(['0', '0', '1', '1']);
  });

  it('calls tools in responses, each an item of its own', async () => {
    const tools = [{ type: 'function', name: 'get_weather', parameters: SCHEMA }];
    const body = { model: GPT, input: 'The weather?', tools };
    const { output } = JSON.parse(await post('/openai/v1/responses', body)) as { output: { id: string }[] };
    expect(output).toMatchObject([
      { type: 'message', content: [{ text: 'Let me see.' }] },
      { type: 'function_call', arguments: '{"city":"Paris"}' },
      { type: 'function_call', arguments: '{"city":"Rome"}' },
    ]);
    expect(new Set(output.map(({ id }) => id)).size).toBe(3);
    const streamed = await post('/openai/v1/responses', { ...body, stream: true });
    expect(streamed.match(/"type":"response.output_item.done"/g)).toHaveLength(3);
  });

  it.each([
    { path: '/openai/v1/chat/completions', body: { model: GPT }, says: { error: { type: 'invalid_request_error' } } },
    { path: '/openai/v1/responses', body: { model: GPT, input: 'too long' }, says: { error: { param: null } } },
    {
      path: '/anthropic/v1/messages',
      body: { model: 'anthropic.claude-haiku-4-5', max_tokens: 9 },
      says: { type: 'error', error: { type: 'invalid_request_error' } },
    },
  ])('fails in the shape of $path', async ({ path, body, says }) => {
    const failed: unknown = JSON.parse(
      await post(path, { messages: [{ role: 'user', content: 'too long' }], ...body }),
    );
    expect(failed).toMatchObject(says);
    expect(JSON.stringify(failed)).toContain('Input is too long for requested model.');
  });

  it("counts what caches served as each API does, and the ledger as AWS's prices do", async () => {
    const chat: unknown = JSON.parse(
      await post('/openai/v1/chat/completions', { model: GPT, messages: [{ role: 'user', content: 'cached' }] }),
    );
    expect(chat).toMatchObject({ usage: { prompt_tokens: 2_005, prompt_tokens_details: { cached_tokens: 2_000 } } });
    const { usage } = await client.send(new ConverseCommand(ask('cached')));
    expect(usage).toMatchObject({ inputTokens: 5, cacheReadInputTokens: 2_000 });
    const { stdout } = await run(['logs', '--json'], place.environment);
    expect(stdout).toContain('"cache_read_tokens":2000');
  });
});

describe('the file', () => {
  it('is read anew when it changes', async () => {
    writeFileSync(
      fileOf('new.json'),
      JSON.stringify({ rules: [...RULES, { when: { words: 'news' }, answer: { text: 'None.' } }] }),
    );
    renameSync(fileOf('new.json'), fileOf('script.json'));
    await server.untilStderr('The script was taken anew: its file has changed.');
    const { output } = await client.send(new ConverseCommand(ask('Any news?')));
    expect(output?.message?.content).toEqual([{ text: 'None.' }]);
  });

  it.each([
    { name: 'a file that is wrong', args: ['--offline'], says: 'rules must be a list of one rule at least' },
    { name: 'AWS', args: ['--region', 'us-east-1'], says: '--script is for the offline Bedrock: it needs --offline.' },
  ])('ends a start with $name', async ({ args, says }) => {
    writeFileSync(fileOf('wrong.json'), '{"rules":[]}');
    const all = ['start', '--port', '0', ...args, '--script', fileOf('wrong.json')];
    const { code, stderr } = await run(all, place.environment);
    expect([code, stderr]).toEqual([2, expect.stringContaining(says)]);
    expect(stderr).toContain('hint: ');
  });

  it('is lent to a command', async () => {
    const program = `
      const { AWS_ENDPOINT_URL_BEDROCK_RUNTIME: url, AWS_SECRET_ACCESS_KEY: key } = process.env;
      const body = JSON.stringify({ messages: [{ role: 'user', content: [{ text: 'hello' }] }] });
      const headers = { authorization: 'Bearer ' + key, 'content-type': 'application/json' };
      const response = await fetch(url + '/model/amazon.nova-lite-v1:0/converse', { method: 'POST', headers, body });
      console.log((await response.json()).output.message.content[0].text);`;
    const options = ['exec', '--offline', '--script', fileOf('script.json')];
    const command = [process.execPath, '--input-type=module', '-e', program];
    const { stdout, code } = await run([...options, '--', ...command], place.environment);
    expect([code, stdout]).toEqual([0, 'Good day.\n']);
  });
});
