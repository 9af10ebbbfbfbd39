/** The agent runtime of the offline Bedrock, through the AWS SDK for JavaScript. */
import {
  BedrockAgentRuntimeClient,
  InvokeAgentCommand,
  RetrieveAndGenerateCommand,
  RetrieveCommand,
  type InvokeAgentCommandInput,
  type ResponseStream,
} from '@aws-sdk/client-bedrock-agent-runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OfflineBedrock } from '../../../src/upstream/offline/server.ts';
import { sdkSettings, startForTest } from '../../helpers/offline-bedrock.ts';

const KNOWLEDGE_BASE = 'KB12345678';
const AGENT = { agentId: 'AGENT12345', agentAliasId: 'ALIAS12345', sessionId: 'session-1' };

let bedrock: OfflineBedrock;
let client: BedrockAgentRuntimeClient;

beforeAll(async () => {
  bedrock = await startForTest();
  client = new BedrockAgentRuntimeClient(sdkSettings(bedrock.port, 'bedrock-agent-runtime', 'eu-central-1'));
});

afterAll(async () => {
  client.destroy();
  await bedrock.close();
});

describe('Retrieve', () => {
  it('retrieves as many documents as asked for, the best first', async () => {
    const vectorSearchConfiguration = { numberOfResults: 3 };
    const response = await client.send(
      new RetrieveCommand({
        knowledgeBaseId: KNOWLEDGE_BASE,
        retrievalQuery: { text: 'holidays' },
        retrievalConfiguration: { vectorSearchConfiguration },
      }),
    );
    const results = response.retrievalResults ?? [];
    expect(results).toHaveLength(3);
    expect(results[0]?.content?.text).toContain('holidays');
    expect(results[0]?.location?.s3Location?.uri).toBe('s3://offline-knowledge-base/KB12345678/document-1.txt');
    const scores = results.map((result) => result.score ?? 0);
    expect(scores).toEqual(scores.toSorted((one, other) => other - one));
  });

  it.each([
    { name: 'a bad id', knowledgeBaseId: 'short', text: 'x', numberOfResults: 1 },
    { name: 'an empty query', knowledgeBaseId: KNOWLEDGE_BASE, text: '', numberOfResults: 1 },
    { name: 'too many results', knowledgeBaseId: KNOWLEDGE_BASE, text: 'x', numberOfResults: 101 },
    { name: 'no results', knowledgeBaseId: KNOWLEDGE_BASE, text: 'x', numberOfResults: 0 },
  ])('refuses to retrieve with $name', async ({ knowledgeBaseId, text, numberOfResults }) => {
    const retrievalConfiguration = { vectorSearchConfiguration: { numberOfResults } };
    const sent = client.send(
      new RetrieveCommand({ knowledgeBaseId, retrievalQuery: { text }, retrievalConfiguration }),
    );
    await expect(sent).rejects.toMatchObject({ name: 'ValidationException' });
  });
});

describe('RetrieveAndGenerate', () => {
  it('generates a response with a citation, and keeps the session', async () => {
    const knowledgeBaseConfiguration = { knowledgeBaseId: KNOWLEDGE_BASE, modelArn: 'amazon.nova-lite-v1:0' };
    const input = {
      input: { text: 'How long?' },
      retrieveAndGenerateConfiguration: { type: 'KNOWLEDGE_BASE' as const, knowledgeBaseConfiguration },
    };
    const response = await client.send(new RetrieveAndGenerateCommand(input));
    expect(response.output?.text).toContain('How long?');
    expect(response.citations?.[0]?.retrievedReferences).toHaveLength(1);
    expect(response.sessionId).toMatch(/^[0-9a-f-]{36}$/);
    const later = await client.send(new RetrieveAndGenerateCommand({ ...input, sessionId: 'session-1' }));
    expect(later.sessionId).toBe('session-1');
  });
});

describe('InvokeAgent', () => {
  it('invokes an agent in one chunk', async () => {
    const { response, events } = await invoke({ ...AGENT, inputText: 'Hello, agent!' });
    expect(response.sessionId).toBe('session-1');
    expect(response.contentType).toBe('application/json');
    expect(events).toHaveLength(1);
    expect(textOf(events)).toBe('Offline answer of the agent AGENT12345: you said: Hello, agent!');
  });

  it('streams the final response of an agent on request', async () => {
    const streamingConfigurations = { streamFinalResponse: true };
    const { events } = await invoke({ ...AGENT, inputText: 'Hello, agent!', streamingConfigurations });
    expect(events.length).toBeGreaterThan(5);
    expect(textOf(events)).toBe('Offline answer of the agent AGENT12345: you said: Hello, agent!');
  });

  it('reports the tokens of an agent in its trace', async () => {
    const { events } = await invoke({ ...AGENT, inputText: 'Hello, agent!', enableTrace: true });
    const traces = events.flatMap((event) => (event.trace === undefined ? [] : [event.trace]));
    expect(traces).toHaveLength(3);
    expect(traces[0]).toMatchObject({
      sessionId: 'session-1',
      callerChain: [{ agentAliasArn: 'arn:aws:bedrock:eu-central-1:123456789012:agent-alias/AGENT12345/ALIAS12345' }],
      trace: {
        orchestrationTrace: {
          modelInvocationOutput: { metadata: { usage: { inputTokens: 6, outputTokens: expect.any(Number) } } },
        },
      },
    });
    expect(traces[0]?.eventTime).toBeInstanceOf(Date);
  });

  it("ends an agent's session without a word", async () => {
    const { events } = await invoke({ ...AGENT, endSession: true });
    expect(textOf(events)).toBe('The session has ended.');
  });

  it.each([
    { name: 'a bad agent', input: { ...AGENT, agentId: 'x', inputText: 'hi' } },
    { name: 'a bad session', input: { ...AGENT, sessionId: 'a b', inputText: 'hi' } },
    { name: 'no text', input: AGENT },
  ])('refuses to invoke an agent with $name', async ({ input }) => {
    await expect(client.send(new InvokeAgentCommand(input))).rejects.toMatchObject({ name: 'ValidationException' });
  });
});

async function invoke(input: InvokeAgentCommandInput) {
  const response = await client.send(new InvokeAgentCommand(input));
  const events: ResponseStream[] = [];
  for await (const event of response.completion ?? []) events.push(event);
  return { response, events };
}

function textOf(events: readonly ResponseStream[]): string {
  return Buffer.concat(events.map((event) => event.chunk?.bytes ?? new Uint8Array())).toString();
}
