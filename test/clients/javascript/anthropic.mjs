// The Anthropic SDK's Bedrock client: endpoint from ANTHROPIC_BEDROCK_BASE_URL, credentials from the environment.
import AnthropicBedrock from '@anthropic-ai/bedrock-sdk';
import assert from 'node:assert/strict';
import * as checks from './checks.mjs';

const { CLAUDE, IS_BEARER, WRONG_KEY } = checks;
const client = new AnthropicBedrock({ maxRetries: 1 });
const inputOf = (model) => ({ model, max_tokens: 100, messages: [{ role: 'user', content: checks.PROMPT }] });
const create = (model, sender = client) => sender.messages.create(inputOf(model));

async function call() {
  const { content, stop_reason: stopReason } = await create(CLAUDE);
  assert.equal(content[0].text, checks.answerOf(CLAUDE));
  assert.equal(stopReason, 'end_turn');
}

async function stream() {
  const events = await Array.fromAsync(client.messages.stream(inputOf(CLAUDE)));
  checks.expectPieces(events.map((event) => event.delta?.text).filter(Boolean), CLAUDE);
  assert.equal(events.at(-1).type, 'message_stop');
}

async function error() {
  const { BadRequestError, AuthenticationError } = AnthropicBedrock;
  await assert.rejects(create(checks.UNKNOWN), expected(BadRequestError, checks.UNKNOWN_MESSAGE));
  const pair = { awsAccessKey: checks.ACCESS_KEY_ID, awsSecretKey: WRONG_KEY };
  const stranger = new AnthropicBedrock(IS_BEARER ? { apiKey: WRONG_KEY } : pair);
  await assert.rejects(create(CLAUDE, stranger), expected(AuthenticationError, checks.WRONG_KEY_MESSAGE));
}

async function throttle() {
  const { RateLimitError } = AnthropicBedrock;
  await assert.rejects(create(checks.THROTTLED), expected(RateLimitError, checks.THROTTLED_MESSAGE));
}

async function arn() {
  assert.equal((await create(checks.CLAUDE_ARN)).content[0].text, checks.answerOf(CLAUDE));
}

function expected(Type, message) {
  return (thrown) => {
    assert.ok(thrown instanceof Type, `${thrown.constructor.name}: ${thrown.message}`);
    assert.match(thrown.message, message);
    return true;
  };
}

await checks.run(checks.versionOf('@anthropic-ai/bedrock-sdk'), { call, stream, error, throttle, arn });
