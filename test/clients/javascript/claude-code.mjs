// Claude Code in print mode, as a shell runs it: `claude -p`, endpoint from ANTHROPIC_BEDROCK_BASE_URL, in a home of
// its own. Modes: bearer (AWS_BEARER_TOKEN_BEDROCK), skip-auth (ANTHROPIC_AUTH_TOKEN), SigV4 (the AWS pair).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import * as checks from './checks.mjs';

const manifest = createRequire(import.meta.url).resolve('@anthropic-ai/claude-code/package.json');
// The package's own command is put in place by an install script, which is not run; this is what it would start.
const wrapper = join(dirname(manifest), 'cli-wrapper.cjs');
const credentials = {
  bearer: { AWS_BEARER_TOKEN_BEDROCK: checks.KEY },
  'skip-auth': { CLAUDE_CODE_SKIP_BEDROCK_AUTH: '1', ANTHROPIC_AUTH_TOKEN: checks.KEY },
  SigV4: {},
}[checks.MODE.split(',')[0]];
const wrongCredentials = {
  bearer: { AWS_BEARER_TOKEN_BEDROCK: checks.WRONG_KEY },
  'skip-auth': { ...credentials, ANTHROPIC_AUTH_TOKEN: checks.WRONG_KEY },
  SigV4: { AWS_SECRET_ACCESS_KEY: checks.WRONG_KEY },
}[checks.MODE.split(',')[0]];
const settings = {
  CLAUDE_CODE_USE_BEDROCK: '1',
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  CLAUDE_CODE_MAX_RETRIES: '1',
  DISABLE_AUTOUPDATER: '1',
};

/** Runs one prompt and gives the events that Claude Code prints. */
async function prompt(words = [], identity = credentials) {
  const args = [wrapper, '-p', checks.PROMPT, '--output-format', 'stream-json', '--verbose', ...words];
  const env = { ...process.env, ...settings, ...identity };
  const child = spawn(process.execPath, args, { env, cwd: process.env['HOME'], stdio: ['ignore', 'pipe', 'pipe'] });
  const [output, complaint] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const events = output.split('\n').filter((line) => line.startsWith('{'));
  assert.notEqual(events.length, 0, `no events: ${output} ${complaint}`);
  return events.map((line) => JSON.parse(line));
}

const resultOf = (events) => events.find(({ type }) => type === 'result');

async function call() {
  const { result, is_error: isError } = resultOf(await prompt(['--model', checks.CLAUDE]));
  assert.deepEqual({ result, isError }, { result: checks.answerOf(checks.CLAUDE), isError: false });
}

async function stream() {
  const events = await prompt(['--model', checks.CLAUDE, '--include-partial-messages']);
  checks.expectPieces(events.map(({ event }) => event?.delta?.text).filter(Boolean), checks.CLAUDE);
}

async function error() {
  const unknown = resultOf(await prompt(['--model', checks.UNKNOWN]));
  assert.equal(unknown.api_error_status, 400);
  assert.match(unknown.result, checks.UNKNOWN_MESSAGE);
  const startedAt = performance.now();
  const refused = resultOf(await prompt(['--model', checks.CLAUDE], wrongCredentials));
  assert.equal(refused.api_error_status, 401);
  const isSigned = checks.MODE.startsWith('SigV4');
  assert.match(refused.result, isSigned ? checks.WRONG_KEY_MESSAGE : /The proxy does not know this key\./);
  assert.ok(performance.now() - startedAt < 15_000, 'it tried for long before it said so');
}

async function throttle() {
  const throttled = resultOf(await prompt(['--model', checks.THROTTLED]));
  assert.equal(throttled.api_error_status, 429);
  assert.match(throttled.result, checks.THROTTLED_MESSAGE);
}

async function arn() {
  const { result } = resultOf(await prompt(['--model', checks.CLAUDE_ARN]));
  assert.equal(result, checks.answerOf(checks.CLAUDE));
}

await checks.run(checks.versionOf('@anthropic-ai/claude-code'), { call, stream, error, throttle, arn });
