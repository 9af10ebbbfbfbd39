/**
 * The programs of examples/, run as they are against the offline Bedrock. What needs a program that is not on this
 * machine is skipped by name.
 * @module-tag slow
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPython } from '../helpers/python.ts';
import { launchServer, openWorkplace, run, type RunningServer, type Workplace } from '../helpers/program.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const EXAMPLES = join(ROOT, 'examples');
const LAUNCHER = join(ROOT, 'bin/bedrock-proxy.js');

const BOTO3 = findPython('boto3');
const OPENAI = findPython('openai');
const HAS_SHELL = process.platform !== 'win32';

let place: Workplace;
let server: RunningServer;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  place = await openWorkplace();
  const made = await run(['key', 'generate', '--json'], place.environment);
  const { key, access_key_id: accessKeyId } = JSON.parse(made.stdout) as { key: string; access_key_id: string };
  server = await launchServer(['--offline'], place.environment);
  environment = {
    ...place.environment,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: key,
    PROXY_URL: `http://localhost:${server.port}/bedrock`,
    PYTHONDONTWRITEBYTECODE: '1',
  };
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

async function runExample(program: string, file: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [join(EXAMPLES, file)], { env: environment, timeout: 20_000 });
  return stdout;
}

function writeProgram(folder: string, name: string, script: string): Promise<void> {
  return writeFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

describe('examples', () => {
  it('runs converse.mjs, which converses whole and streamed', async () => {
    const stdout = await runExample(process.execPath, 'converse.mjs');
    expect(stdout.match(/you said: Hello/g)).toHaveLength(2);
    expect(stdout).toMatch(/tokens: \d+ in, \d+ out/);
  });

  it.skipIf(BOTO3 === undefined)(
    'runs boto3_converse.py, which does the same (skipped if no Python has boto3)',
    async () => {
      expect((await runExample(BOTO3 ?? '', 'boto3_converse.py')).match(/you said: Hello/g)).toHaveLength(2);
    },
  );

  it.skipIf(OPENAI === undefined)(
    'runs openai_chat.py, which gets a completion (skipped if no Python has openai)',
    async () => {
      expect(await runExample(OPENAI ?? '', 'openai_chat.py')).toContain('Hello');
    },
  );

  // Claude Code itself is a client of test/clients/; here it has a stand-in that says what it was given.
  it.skipIf(!HAS_SHELL)(
    'runs claude-code.sh, which keeps one key for Claude Code (skipped without a POSIX shell)',
    async () => {
      await using home = await openWorkplace();
      await writeProgram(home.folder, 'npx', `shift; exec "${process.execPath}" "${LAUNCHER}" "$@"`);
      await writeProgram(home.folder, 'claude', 'echo "$1 $AWS_BEARER_TOKEN_BEDROCK $ANTHROPIC_BEDROCK_BASE_URL"');
      const env = { ...home.environment, PATH: `${home.folder}:${home.environment['PATH'] ?? ''}` };
      const start = () => promisify(execFile)('sh', [join(EXAMPLES, 'claude-code.sh'), '-p'], { env, timeout: 20_000 });
      const { stdout: first } = await start();
      expect(first).toMatch(/^-p sk-\S+ http:\/\/localhost:4000\/bedrock\n$/);
      expect((await start()).stdout).toBe(first);
      const { stdout: shown } = await run(['key', 'show', 'claude'], home.environment);
      expect(shown).toMatch(/budget\s+\$25/);
    },
  );

  it('runs in ci.yml a command that the program has', async () => {
    const [, command = ''] =
      /npx bedrock-proxy (exec --offline) -- npm test/.exec(readFileSync(join(EXAMPLES, 'ci.yml'), 'utf8')) ?? [];
    const script = 'process.stdout.write(process.env.AWS_ENDPOINT_URL_BEDROCK_RUNTIME ?? "none")';
    const { code, stdout } = await run(
      [...command.split(' '), '--', process.execPath, '-e', script],
      place.environment,
    );
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/bedrock$/)]);
  });
});
