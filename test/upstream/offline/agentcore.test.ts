/** InvokeAgentRuntime of the offline Bedrock, through the AWS SDK for JavaScript. */
import { BedrockAgentCoreClient, InvokeAgentRuntimeCommand } from '@aws-sdk/client-bedrock-agentcore';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { OfflineBedrock } from '../../../src/upstream/offline/server.ts';
import { sdkSettings, startForTest } from '../../helpers/offline-bedrock.ts';

const agentRuntimeArn = 'arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/echo-a1b2c3d4e5';
const payload = JSON.stringify({ prompt: 'Hello' });
const RESPONSE = 'Offline answer of the runtime echo-a1b2c3d4e5: you said: Hello';

let bedrock: OfflineBedrock;
let client: BedrockAgentCoreClient;

beforeAll(async () => {
  bedrock = await startForTest();
  client = new BedrockAgentCoreClient(sdkSettings(bedrock.port, 'bedrock-agentcore'));
});

afterAll(async () => {
  client.destroy();
  await bedrock.close();
});

it('repeats the prompt of an agent runtime, and keeps the session', async () => {
  const runtimeSessionId = 'session-'.padEnd(40, '0');
  const response = await client.send(new InvokeAgentRuntimeCommand({ agentRuntimeArn, runtimeSessionId, payload }));
  expect(response).toMatchObject({ contentType: 'application/json', runtimeSessionId });
  expect(JSON.parse((await response.response?.transformToString()) ?? '')).toEqual({ result: RESPONSE });
});

it('responds in pieces to clients that accept them, in a session of its own making', async () => {
  const accept = 'text/event-stream, application/json';
  const response = await client.send(new InvokeAgentRuntimeCommand({ agentRuntimeArn, payload, accept }));
  expect(response.contentType).toBe('text/event-stream');
  expect(response.runtimeSessionId).toMatch(/^[0-9a-f-]{36}$/);
  const events = ((await response.response?.transformToString()) ?? '').split('\n\n').slice(0, -1);
  expect(events.map((event) => JSON.parse(event.slice('data: '.length)) as string).join('')).toBe(RESPONSE);
  expect(events.length).toBeGreaterThan(1);
});

it.each([
  { name: 'an ARN of something else', arn: agentRuntimeArn.replace('runtime/', 'gateway/'), body: payload },
  { name: 'a payload that is no JSON object', arn: agentRuntimeArn, body: 'Hello' },
])('refuses to invoke an agent runtime with $name', async ({ arn, body }) => {
  const sent = client.send(new InvokeAgentRuntimeCommand({ agentRuntimeArn: arn, payload: body }));
  await expect(sent).rejects.toMatchObject({ name: 'ValidationException' });
});
