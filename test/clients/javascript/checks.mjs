// What the JavaScript clients share: the cases, which are the same in every language, and how a check's outcome is told
// to the runner, one JSON object a line.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';

/** How the runner set this client up: `http1` or not, `bearer` or a signature. */
export const MODE = process.env['MODE'] ?? '';
export const IS_BEARER = MODE.startsWith('bearer');
export const URL = process.env['PROXY_URL'] ?? '';
export const REGION = process.env['AWS_REGION'] ?? '';
export const KEY = process.env['VIRTUAL_KEY'] ?? '';
/** Undefined in the bearer modes. */
export const ACCESS_KEY_ID = process.env['AWS_ACCESS_KEY_ID'];

export const MODEL = 'amazon.nova-lite-v1:0';
export const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
export const CLAUDE_ARN = `arn:aws:bedrock:us-east-1:123456789012:inference-profile/${CLAUDE}`;
export const EMBEDDER = 'amazon.titan-embed-text-v2:0';
export const OPENAI_MODEL = 'openai.gpt-oss-120b-1:0';
export const THROTTLED = 'offline.throttle-v1:0';
export const UNKNOWN = 'no-such-model';
export const RUNTIME_ARN = 'arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/echo-a1b2c3d4e5';
export const PROMPT = 'Grüße, 世界';
export const WRONG_KEY = `sk-${'wrong'.repeat(10)}`;

export const UNKNOWN_MESSAGE = /The provided model identifier is invalid\./;
export const THROTTLED_MESSAGE = /Too many requests, please wait\./;
/** What the proxy says to WRONG_KEY, as a bearer or as the secret of a signature. */
export const WRONG_KEY_MESSAGE = IS_BEARER
  ? /The proxy does not know this key\./
  : /The signature is not the one that this secret access key makes/;

/** The version of an installed package; some do not let their package.json be imported. */
export function versionOf(name) {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'node_modules', name))) folder = dirname(folder);
  return JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')).version;
}

/** What the offline Bedrock answers PROMPT. */
export function answerOf(model) {
  return `Offline answer of ${model.replace(/^us\./, '')}: you said: ${PROMPT}`;
}

/** Runs those of the checks that the runner asks for, each whatever became of the others, and ends the process. */
export async function run(version, checks) {
  tell({ version });
  for (const check of (process.env['CHECKS'] ?? '').split(',')) {
    try {
      await checks[check]();
      tell({ check, ok: true });
    } catch (error) {
      const [, place = ''] = /([\w-]+\.mjs:\d+)/.exec(error.stack ?? '') ?? [];
      tell({ check, ok: false, detail: `${error.name}: ${error.message} (${place})` });
    }
  }
  // Clients keep connections open.
  process.exit();
}

/** The texts of a stream: several pieces that together are the answer of this model. */
export function expectPieces(pieces, model) {
  assert.equal(pieces.join(''), answerOf(model));
  assert.ok(pieces.length > 1, 'the text came in one piece');
}

function tell(outcome) {
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
