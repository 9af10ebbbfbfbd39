// The Vercel AI SDK with its Bedrock provider (Converse) and that provider's Anthropic models (InvokeModel).
import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock';
import { createAmazonBedrockAnthropic } from '@ai-sdk/amazon-bedrock/anthropic';
import { APICallError, embed, generateText, RetryError, streamText } from 'ai';
import assert from 'node:assert/strict';
import * as checks from './checks.mjs';

const { MODEL, CLAUDE, PROMPT } = checks;
const settingsOf = (key) => ({
  baseURL: checks.URL,
  region: checks.REGION,
  ...(checks.IS_BEARER ? { apiKey: key } : { accessKeyId: checks.ACCESS_KEY_ID, secretAccessKey: key }),
});
const bedrock = createAmazonBedrock(settingsOf(checks.KEY));
const generate = (model, settings = {}) => generateText({ model, prompt: PROMPT, maxRetries: 0, ...settings });

async function call() {
  assert.equal((await generate(bedrock(MODEL))).text, checks.answerOf(MODEL));
  const anthropic = createAmazonBedrockAnthropic(settingsOf(checks.KEY));
  assert.equal((await generate(anthropic(CLAUDE))).text, checks.answerOf(CLAUDE));
  const { embedding } = await embed({ model: bedrock.embedding(checks.EMBEDDER), value: PROMPT });
  assert.equal(embedding.length, 1024);
}

async function stream() {
  const { textStream } = streamText({ model: bedrock(MODEL), prompt: PROMPT, maxRetries: 0 });
  checks.expectPieces(await Array.fromAsync(textStream), MODEL);
}

async function error() {
  await assert.rejects(generate(bedrock(checks.UNKNOWN)), expected(400, checks.UNKNOWN_MESSAGE));
  const stranger = createAmazonBedrock(settingsOf(checks.WRONG_KEY));
  await assert.rejects(generate(stranger(MODEL)), expected(401, checks.WRONG_KEY_MESSAGE));
}

async function throttle() {
  await assert.rejects(generate(bedrock(checks.THROTTLED), { maxRetries: 1 }), (thrown) => {
    assert.ok(RetryError.isInstance(thrown), thrown.name);
    assert.equal(thrown.errors.length, 2);
    return expected(429, checks.THROTTLED_MESSAGE)(thrown.lastError);
  });
}

async function arn() {
  assert.equal((await generate(bedrock(checks.CLAUDE_ARN))).text, checks.answerOf(CLAUDE));
}

function expected(statusCode, message) {
  return (thrown) => {
    assert.ok(APICallError.isInstance(thrown), thrown.name);
    assert.equal(thrown.statusCode, statusCode);
    assert.match(thrown.message, message);
    return true;
  };
}

await checks.run(checks.versionOf('@ai-sdk/amazon-bedrock'), { call, stream, error, throttle, arn });
