/** `chat`: through a proxy that runs, and without one. */
import { describe, expect, it } from 'vitest';
import { type Cli, openCli } from '../../helpers/cli.ts';

const MODEL = 'amazon.nova-micro-v1:0';
const ANSWER = `Offline answer of ${MODEL}: you said: `;

/** A proxy of this database, and its port. */
async function startProxy(cli: Cli): Promise<string> {
  const running = cli.spawn(['start', '--offline', '--port', '0']);
  const [, port = ''] = await running.waitFor('stderr', /localhost:(\d+)\/bedrock/);
  return port;
}

describe('chat', () => {
  it('prints the answer, and what it used apart from it', async () => {
    const { code, stdout, stderr } = await (await openCli()).spawn(['chat', MODEL, '--offline', 'hi', 'there']).ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${ANSWER}hi there\n` });
    expect(stderr).toMatch(/^\d+ tokens in, \d+ out, \d+ ms\n$/);
  });

  it.each([
    { args: [], stdin: 'from a pipe\n', said: 'from a pipe' },
    { args: ['Review:', '-'], stdin: 'a diff\n', said: 'Review: \na diff' },
  ])('reads standard input for $args', async ({ args, stdin, said }) => {
    const cli = await openCli();
    const { stdout } = await cli.spawn(['chat', MODEL, '--offline', '--json', ...args], { stdin }).ended;
    expect(JSON.parse(stdout)).toMatchObject({
      model: MODEL,
      text: `${ANSWER}${said}`,
      stop_reason: 'end_turn',
      usage: { inputTokens: expect.any(Number) },
      cost_usd: expect.stringMatching(/^0\.0/),
    });
  });

  it('goes through the proxy that runs, with the only key there is', async () => {
    const cli = await openCli();
    const port = await startProxy(cli);
    const open = await cli.spawn(['chat', MODEL, 'hi', '--port', port]).ended;
    expect(open).toMatchObject({ code: 0, stdout: `${ANSWER}hi\n` });
    await cli.run(['key', 'generate', '--quiet', '--alias', 'alice']);
    const keyed = await cli.spawn(['chat', MODEL, 'hi', '--port', port, '--json']).ended;
    expect(JSON.parse(keyed.stdout)).toMatchObject({ text: `${ANSWER}hi` });
    await cli.run(['key', 'generate', '--quiet', '--alias', 'bob', '--models', 'anthropic.*']);
    const unclear = await cli.spawn(['chat', MODEL, 'hi', '--port', port]).ended;
    expect(unclear).toMatchObject({ code: 1, stderr: expect.stringContaining('Name one with --key: alice, bob.') });
    const refused = await cli.spawn(['chat', MODEL, 'hi', '--port', port, '--key', 'bob']).ended;
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('ERR_MODEL_NOT_ALLOWED') });
    const { stdout } = await cli.run(['logs', '--json']);
    const rows = stdout
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(rows).toMatchObject([{ model: MODEL, status: 200 }, { key: 'alice' }, { status: 403 }]);
  });

  it("says in AWS's words, and in its letters, why there is no answer, and where ids are", async () => {
    const profileOnly = 'anthropic.claude-sonnet-4-5-20250929-v1:0';
    const { code, stdout, stderr } = await (await openCli()).spawn(['chat', profileOnly, 'hi', '--offline']).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('with on-demand throughput isn’t supported');
    expect(stderr).toContain('`bedrock-proxy models`');
  });

  it.each([
    { args: [], message: 'There is no message.' },
    { args: ['hi', '--max-tokens', 'x'], message: '--max-tokens must be a whole number' },
  ])('refuses $args', async ({ args, message }) => {
    const { code, stderr } = await (await openCli()).spawn(['chat', MODEL, '--offline', ...args]).ended;
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
