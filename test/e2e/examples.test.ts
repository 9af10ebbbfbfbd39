/**
 * The programs of examples/, run as they are against the offline Bedrock. What needs a program that is not on this
 * machine is skipped by name.
 * @module-tag slow
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchServer, openWorkplace, type Program, run, type Workplace } from '../helpers/program.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const EXAMPLES = join(ROOT, 'examples');

/** A Python that has the package. */
function findPython(name: string): string | undefined {
  const candidates = [join(ROOT, '.venv/bin/python'), join(ROOT, '.venv/Scripts/python.exe'), 'python3', 'python'];
  return candidates.find(
    (python) =>
      (!python.startsWith(ROOT) || existsSync(python)) &&
      spawnSync(python, ['-c', `import ${name}`], { timeout: 10_000 }).status === 0,
  );
}
const BOTO3 = findPython('boto3');
const OPENAI = findPython('openai');
const HAS_SHELL = process.platform !== 'win32';

let place: Workplace;
let server: Program & { readonly port: number };
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

describe('examples', () => {
  it('converse.mjs converses, whole and streamed', async () => {
    const stdout = await runExample(process.execPath, 'converse.mjs');
    expect(stdout.match(/you said: Hello/g)).toHaveLength(2);
    expect(stdout).toMatch(/tokens: \d+ in, \d+ out/);
  });

  it.skipIf(BOTO3 === undefined)('boto3_converse.py does the same (skipped if no Python has boto3)', async () => {
    expect((await runExample(BOTO3 ?? '', 'boto3_converse.py')).match(/you said: Hello/g)).toHaveLength(2);
  });

  it.skipIf(OPENAI === undefined)('openai_chat.py gets a completion (skipped if no Python has openai)', async () => {
    expect(await runExample(OPENAI ?? '', 'openai_chat.py')).toContain('Hello');
  });

  it.skipIf(!HAS_SHELL)('claude-code.sh is a script that a shell reads (skipped without a POSIX shell)', async () => {
    await promisify(execFile)('sh', ['-n', join(EXAMPLES, 'claude-code.sh')]);
    const flags = readFileSync(join(EXAMPLES, 'claude-code.sh'), 'utf8').match(/--[a-z-]+/g) ?? [];
    const help = `${(await run(['key', 'generate', '--help'], place.environment)).stdout}${
      (await run(['env', '--help'], place.environment)).stdout
    }`;
    expect(flags.filter((flag) => !help.includes(flag))).toEqual([]);
  });

  it('ci.yml runs a command that the program has', async () => {
    const [, command = ''] =
      /npx bedrock-proxy (exec --offline) -- npm test/.exec(readFileSync(join(EXAMPLES, 'ci.yml'), 'utf8')) ?? [];
    const script = 'process.stdout.write(process.env.AWS_ENDPOINT_URL_BEDROCK_RUNTIME ?? "none")';
    const { code, stdout } = await run(
      [...command.split(' '), '--', process.execPath, '-e', script],
      place.environment,
    );
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^http:\/\/localhost:\d+\/bedrock$/)]);
  });
});
