// The AWS SDK for JavaScript, as it comes out of the environment: endpoints from AWS_ENDPOINT_URL_*, the key from
// AWS_BEARER_TOKEN_BEDROCK or from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. The clients of bedrock-runtime and
// bedrock-agent-runtime speak HTTP/2 unless told otherwise; the others speak HTTP/1.1.
import { BedrockClient, ListFoundationModelsCommand } from '@aws-sdk/client-bedrock';
import { BedrockAgentRuntimeClient, InvokeAgentCommand, RetrieveCommand } from '@aws-sdk/client-bedrock-agent-runtime';
import { BedrockAgentCoreClient, InvokeAgentRuntimeCommand } from '@aws-sdk/client-bedrock-agentcore';
import * as runtime from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import assert from 'node:assert/strict';
import * as checks from './checks.mjs';

const { MODEL, CLAUDE, EMBEDDER, PROMPT, IS_BEARER, WRONG_KEY } = checks;
const handler = checks.MODE.includes('HTTP/1.1') ? { requestHandler: new NodeHttpHandler() } : {};
const client = new runtime.BedrockRuntimeClient(handler);

const converse = (modelId, sender = client) =>
  sender.send(new runtime.ConverseCommand({ modelId, messages: [{ role: 'user', content: [{ text: PROMPT }] }] }));
const claudeInput = {
  modelId: CLAUDE,
  contentType: 'application/json',
  body: JSON.stringify({
    anthropic_version: 'bedrock-2023-05-31',
    max_tokens: 100,
    messages: [{ role: 'user', content: PROMPT }],
  }),
};
const textOf = (answer) => answer.output.message.content[0].text;
const parse = (bytes) => JSON.parse(Buffer.from(bytes).toString());

async function call() {
  assert.equal(textOf(await converse(MODEL)), checks.answerOf(MODEL));
  const { body } = await client.send(new runtime.InvokeModelCommand(claudeInput));
  assert.equal(parse(body).content[0].text, checks.answerOf(CLAUDE));
  const embedding = { modelId: EMBEDDER, body: JSON.stringify({ inputText: PROMPT }) };
  assert.equal(parse((await client.send(new runtime.InvokeModelCommand(embedding))).body).embedding.length, 1024);
  const control = new BedrockClient({});
  const { modelSummaries } = await control.send(new ListFoundationModelsCommand({ byProvider: 'Anthropic' }));
  assert.ok(modelSummaries.some(({ modelId }) => modelId === CLAUDE.slice('us.'.length)));
}

async function stream() {
  const input = { modelId: MODEL, messages: [{ role: 'user', content: [{ text: PROMPT }] }] };
  const converseStream = await client.send(new runtime.ConverseStreamCommand(input));
  const events = await Array.fromAsync(converseStream.stream);
  checks.expectPieces(events.map((event) => event.contentBlockDelta?.delta?.text).filter(Boolean), MODEL);
  const { body } = await client.send(new runtime.InvokeModelWithResponseStreamCommand(claudeInput));
  const chunks = (await Array.fromAsync(body)).map((event) => parse(event.chunk.bytes));
  checks.expectPieces(chunks.map((chunk) => chunk.delta?.text).filter(Boolean), CLAUDE);
}

async function error() {
  await assert.rejects(converse(checks.UNKNOWN), (thrown) => {
    assert.ok(thrown instanceof runtime.ValidationException, thrown.name);
    assert.match(thrown.message, checks.UNKNOWN_MESSAGE);
    return true;
  });
  const credentials = { accessKeyId: checks.ACCESS_KEY_ID, secretAccessKey: WRONG_KEY };
  const identity = IS_BEARER ? { token: { token: WRONG_KEY } } : { credentials };
  const stranger = new runtime.BedrockRuntimeClient({ ...handler, ...identity });
  const name = IS_BEARER ? 'UnrecognizedClientException' : 'SignatureDoesNotMatch';
  await assert.rejects(converse(MODEL, stranger), { name, message: checks.WRONG_KEY_MESSAGE });
}

async function throttle() {
  await assert.rejects(converse(checks.THROTTLED), (thrown) => {
    assert.ok(thrown instanceof runtime.ThrottlingException, thrown.name);
    assert.match(thrown.message, checks.THROTTLED_MESSAGE);
    assert.equal(thrown.$metadata.attempts, 2);
    return true;
  });
}

async function arn() {
  assert.equal(textOf(await converse(checks.CLAUDE_ARN)), checks.answerOf(CLAUDE));
}

async function agents() {
  const agent = new BedrockAgentRuntimeClient(handler);
  const ids = { agentId: 'AGENT12345', agentAliasId: 'ALIAS12345', sessionId: 'one' };
  const { completion } = await agent.send(new InvokeAgentCommand({ ...ids, inputText: PROMPT }));
  const chunks = await Array.fromAsync(completion, ({ chunk }) => Buffer.from(chunk.bytes).toString());
  assert.equal(chunks.join(''), `Offline answer of the agent AGENT12345: you said: ${PROMPT}`);
  const retrieval = { knowledgeBaseId: 'KB12345678', retrievalQuery: { text: PROMPT } };
  const { retrievalResults } = await agent.send(new RetrieveCommand(retrieval));
  assert.ok(retrievalResults[0].content.text.includes(PROMPT));
  const payload = JSON.stringify({ prompt: PROMPT });
  const invocation = { agentRuntimeArn: checks.RUNTIME_ARN, qualifier: 'DEFAULT', payload };
  const { response } = await new BedrockAgentCoreClient({}).send(new InvokeAgentRuntimeCommand(invocation));
  const { result } = JSON.parse(await response.transformToString());
  assert.equal(result, `Offline answer of the runtime echo-a1b2c3d4e5: you said: ${PROMPT}`);
}

await checks.run(checks.versionOf('@aws-sdk/client-bedrock-runtime'), { call, stream, error, throttle, arn, agents });
