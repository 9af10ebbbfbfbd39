// Coding agents, each with one prompt, set up with what `env --for` and `exec` give it: AGENT names it, AGENTS is where
// npm put it, or nothing if it is on the PATH. Whatever it asks for besides its model, it does not get.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { describeClient } from '../../../src/cli/env/client-settings.ts';
import * as checks from './checks.mjs';

const { AGENT = '', AGENTS = '', HOME = '' } = process.env;
const { CLAUDE, OPENAI_MODEL, PROMPT } = checks;
const LIMIT_MS = 50_000;
const openAi = `${checks.URL}/openai/v1`;
const settings = describeClient({
  client: AGENT,
  url: checks.URL,
  accessKeyId: process.env['PAIR_ID'] ?? '',
  key: checks.KEY,
  region: checks.REGION,
});
const inPackages = (...words) => join(AGENTS, 'node_modules', ...words);
const node = (...words) => [process.execPath, inPackages(...words)];

/** How each is started, what it is asked with, and the model that answers. */
const RECIPES = {
  codex: () => ({
    package: '@openai/codex',
    model: OPENAI_MODEL,
    command: [...node('@openai/codex/bin/codex.js'), ...settings.args, 'exec', '--skip-git-repo-check'],
    words: ['-m', OPENAI_MODEL, PROMPT],
  }),
  opencode: () => ({
    package: 'opencode-ai',
    model: CLAUDE,
    // What its install script would put in place.
    command: [inPackages(`opencode-${process.platform}-${process.arch}`, 'bin', 'opencode'), 'run'],
    words: ['-m', `amazon-bedrock/${CLAUDE}`, PROMPT],
    environment: { OPENCODE_DISABLE_MODELS_FETCH: '1', OPENCODE_DISABLE_AUTOUPDATE: '1' },
  }),
  cline: () => ({
    package: 'cline',
    model: OPENAI_MODEL,
    before: [...node('cline/bin/cline'), 'auth', '-p', 'openai', '-b', openAi, '-k', checks.KEY, '-m', OPENAI_MODEL],
    command: node('cline/bin/cline'),
    words: ['-P', 'openai', '-m', OPENAI_MODEL, '--retries', '1', PROMPT],
  }),
  continue: () => ({
    package: '@continuedev/cli',
    model: OPENAI_MODEL,
    command: node('@continuedev/cli/dist/cn.js'),
    words: ['--config', writeContinueConfig(), '-p', PROMPT],
    environment: { CONTINUE_TELEMETRY_ENABLED: '0' },
  }),
  aider: () => ({
    model: CLAUDE,
    command: ['aider'],
    words: ['--model', `bedrock/${CLAUDE}`, '--no-git', '--no-check-update', '--yes-always', '--message', PROMPT],
  }),
  goose: () => ({
    model: CLAUDE,
    command: ['goose', 'run', '--no-session'],
    words: ['--text', PROMPT],
    environment: { GOOSE_MODEL: CLAUDE, GOOSE_DISABLE_KEYRING: '1' },
  }),
};

function writeContinueConfig() {
  const file = join(HOME, 'config.yaml');
  const apiKey = '${{ secrets.OPENAI_API_KEY }}';
  const model = { name: 'bedrock', provider: 'openai', model: OPENAI_MODEL, apiBase: openAi, apiKey };
  writeFileSync(file, JSON.stringify({ name: 'proxy', version: '1.0.0', schema: 'v1', models: [model] }));
  return file;
}

async function run([command, ...args], environment) {
  const env = { ...process.env, ...environment, ...Object.fromEntries(settings.set) };
  for (const name of settings.unset) delete env[name];
  const signal = AbortSignal.timeout(LIMIT_MS);
  const child = spawn(command, args, { env, cwd: HOME, stdio: ['ignore', 'pipe', 'pipe'], signal });
  child.on('error', () => {});
  const [output, complaint] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { output, complaint };
}

const recipe = RECIPES[AGENT]();

async function call() {
  if (recipe.before !== undefined) await run(recipe.before, recipe.environment);
  const { output, complaint } = await run([...recipe.command, ...recipe.words], recipe.environment);
  const answer = `Offline answer of ${recipe.model.replace(/^us\./, '')}: you said:`;
  assert.ok(output.includes(answer), `it said: ${output.slice(-300)} ${complaint.slice(-300)}`);
  assert.ok(output.includes(PROMPT), 'the prompt did not come back');
}

const manifest = recipe.package === undefined ? undefined : inPackages(recipe.package, 'package.json');
await checks.run(manifest === undefined ? '' : JSON.parse(readFileSync(manifest, 'utf8')).version, { call });
