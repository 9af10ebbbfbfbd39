/**
 * The offline Bedrock through the whole program, as people meet it: Anthropic's own clients, the shapes of OpenAI, and
 * what the ledger says of caches.
 */
import AnthropicBedrock, { AnthropicBedrockMantle } from '@anthropic-ai/bedrock-sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchServer, openWorkplace, run, type RunningServer, type Workplace } from '../helpers/program.ts';

const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const HELLO = { max_tokens: 100, messages: [{ role: 'user' as const, content: 'Hello' }] };

let place: Workplace;
let server: RunningServer;
let key: string;
let url: string;

beforeAll(async () => {
  place = await openWorkplace();
  const made = await run(['key', 'generate', '--json'], place.environment);
  ({ key } = JSON.parse(made.stdout) as { key: string });
  server = await launchServer(['--offline'], place.environment);
  url = `http://localhost:${server.port}/bedrock`;
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

function post(path: string, body: object): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  return fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
}

describe('start --offline', () => {
  it("converses with Anthropic's client for bedrock-mantle, whole and streamed", async () => {
    const client = new AnthropicBedrockMantle({ baseURL: `${url}/anthropic`, apiKey: key, awsRegion: 'us-east-1' });
    const model = 'anthropic.claude-haiku-4-5';
    const message = await client.messages.create({ ...HELLO, model });
    expect(message.content).toMatchObject([{ type: 'text', text: expect.stringContaining('you said: Hello') }]);
    const streamed = await client.messages.stream({ ...HELLO, model }).finalMessage();
    expect(streamed.content).toEqual(message.content);
  });

  it('shows what caches were written and read, in the price and in the ledger', async () => {
    const client = new AnthropicBedrock({ baseURL: url, apiKey: key, awsRegion: 'us-east-1' });
    const system = [
      { type: 'text' as const, text: 'word '.repeat(1100), cache_control: { type: 'ephemeral' as const } },
    ];
    const written = await client.messages.create({ ...HELLO, model: CLAUDE, system });
    const read = await client.messages.create({ ...HELLO, model: CLAUDE, system });
    expect(written.usage.cache_creation_input_tokens).toBeGreaterThan(1024);
    expect(read.usage.cache_read_input_tokens).toBe(written.usage.cache_creation_input_tokens);
    const { stdout } = await run(['logs', '--json'], place.environment);
    expect(stdout).toContain(`"cache_write_tokens":${written.usage.cache_creation_input_tokens}`);
    expect(stdout).toContain(`"cache_read_tokens":${written.usage.cache_creation_input_tokens}`);
  });

  it('meters a response of OpenAI', async () => {
    const response = await post('/openai/v1/responses', { model: 'openai.gpt-oss-20b-1:0', input: 'Hello' });
    expect(response.status).toBe(200);
    expect(Number(response.headers.get('x-bedrock-proxy-cost'))).toBeGreaterThan(0);
  });

  it.each([
    { name: 'an unknown model', path: '/model/amazon.nova-lyte-v1:0/converse', says: 'model identifier is invalid' },
    {
      name: 'a model of profiles alone',
      path: '/model/anthropic.claude-sonnet-4-5-20250929-v1:0/converse',
      says: 'with on-demand throughput isn\u2019t supported',
    },
    {
      name: 'a Bedrock operation it lacks',
      path: '/flows/FLOW123456/aliases/ALIAS12345',
      says: 'The offline Bedrock lacks',
    },
  ])('refuses $name at once', async ({ path, says }) => {
    const response = await post(path, { messages: [{ role: 'user', content: [{ text: 'hi' }] }] });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(says);
  });

  it('refuses a region that AWS does not have', async () => {
    await using elsewhere = await launchServer(['--offline', '--region', 'us-esat-1'], place.environment);
    const response = await fetch(`http://localhost:${elsewhere.port}/bedrock/foundation-models`, {
      headers: { authorization: `Bearer ${key}` },
    });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('AWS has no region us-esat-1 with Bedrock.');
  });
});
