// The OpenAI SDK on Bedrock's OpenAI routes: bearer from OPENAI_BASE_URL and OPENAI_API_KEY, the pair through the SDK's
// own Bedrock provider (AWS_BEDROCK_BASE_URL), which signs for bedrock-mantle.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { bedrock } from 'openai/providers/bedrock/aws';
import * as checks from './checks.mjs';

const { OPENAI_MODEL, PROMPT } = checks;
const clientOf = (key) => {
  if (checks.IS_BEARER) return new OpenAI({ apiKey: key, maxRetries: 1 });
  const pair = { accessKeyId: checks.ACCESS_KEY_ID, secretAccessKey: key };
  return new OpenAI({ provider: bedrock({ endpoint: 'mantle', region: checks.REGION, ...pair }), maxRetries: 1 });
};
const client = clientOf(checks.KEY);
const inputOf = (model) => ({ model, messages: [{ role: 'user', content: PROMPT }] });
const create = (model, sender = client) => sender.chat.completions.create(inputOf(model));

async function call() {
  const { choices } = await create(OPENAI_MODEL);
  assert.equal(choices[0].message.content, checks.answerOf(OPENAI_MODEL));
  const models = await Array.fromAsync(client.models.list());
  assert.ok(models.some(({ id }) => id === OPENAI_MODEL));
}

async function stream() {
  const asked = { ...inputOf(OPENAI_MODEL), stream: true, stream_options: { include_usage: true } };
  const chunks = await Array.fromAsync(await client.chat.completions.create(asked));
  checks.expectPieces(chunks.map(({ choices }) => choices[0]?.delta.content).filter(Boolean), OPENAI_MODEL);
  assert.ok(chunks.at(-1).usage.completion_tokens > 1);
}

async function error() {
  await assert.rejects(create(checks.UNKNOWN), expected(OpenAI.NotFoundError, /no-such-model/));
  const refused = create(OPENAI_MODEL, clientOf(checks.WRONG_KEY));
  await assert.rejects(refused, expected(OpenAI.AuthenticationError, checks.WRONG_KEY_MESSAGE));
}

async function throttle() {
  await assert.rejects(create(checks.THROTTLED), expected(OpenAI.RateLimitError, checks.THROTTLED_MESSAGE));
}

function expected(Type, message) {
  return (thrown) => {
    assert.ok(thrown instanceof Type, `${thrown.constructor.name}: ${thrown.message}`);
    assert.match(thrown.message, message);
    return true;
  };
}

await checks.run(checks.versionOf('openai'), { call, stream, error, throttle });
