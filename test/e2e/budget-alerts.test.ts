/**
 * A key that comes near the end of its budget: told in the terminal of `start`, once, also by several workers.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { sendJson } from '../helpers/fake-upstream.ts';
import { launchServer, openProgramTest, type ProgramTest, run } from '../helpers/program.ts';
import { ask } from '../helpers/raw-socket.ts';

const BODY = '{"messages":[{"role":"user","content":[{"text":"Hello"}]}],"inferenceConfig":{"maxTokens":100}}';
/** Nova Lite costs 60 nano-dollars an input token and 240 an output token: 24,300, which is 81 % of the budget. */
const RESPONSE = { usage: { inputTokens: 5, outputTokens: 100, totalTokens: 105 } };

let place: ProgramTest;

beforeEach(async () => {
  place = await openProgramTest();
  place.upstream.respondWith((_request, response) => sendJson(response, 200, RESPONSE));
});

describe.skipIf(process.platform === 'win32')('budget alerts', () => {
  it.each([
    { name: 'one process', args: [] },
    { name: 'two workers', args: ['--workers', '2'] },
  ])('are told once per threshold by $name, and to --on-budget', { timeout: 60_000 }, async ({ args }) => {
    const file = join(place.folder, 'told');
    const onBudget = `echo "$BEDROCK_PROXY_KEY_ALIAS $BEDROCK_PROXY_BUDGET_THRESHOLD" >>"${file}"`;
    const generated = await run(
      ['key', 'generate', '--quiet', '--alias', 'alice', '--budget', '0.00003'],
      place.environment,
    );
    const server = await launchServer([...args, '--on-budget', onBudget], place.environment);
    const headers = ['Host: localhost', `Authorization: Bearer ${generated.stdout.trim()}`];
    const call = () =>
      ask(
        server.port,
        'POST /bedrock/model/amazon.nova-lite-v1:0/converse HTTP/1.1',
        [...headers, `Content-Length: ${BODY.length}`],
        BODY,
      );
    expect((await call()).status).toBe(200);
    await server.untilStderr('budget: alice has spent $0.0000243 of $0.00003 (81 %).');
    for (let times = 0; times < 6; times += 1) expect((await call()).status).toBe(402);
    await server.untilStderr('budget: alice has used up its budget, $0.0000243 of $0.00003 (81 %)');
    server.child.kill('SIGTERM');
    const { stderr } = await server.ended;
    expect(stderr.match(/^budget: /gm)).toHaveLength(2);
    expect(await readFile(file, 'utf8')).toBe('alice 80\nalice 100\n');
  });
});
