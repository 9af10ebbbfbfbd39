/** `inspect`: the link of the proxy that runs, for whoever has the secret of its database, and for nobody else. */
import { describe, expect, it } from 'vitest';
import { type Cli, openCli } from '../../helpers/cli.ts';

async function start(cli: Cli, args: readonly string[] = [], env: Record<string, string> = {}): Promise<number> {
  const proxy = cli.spawn(['start', '--offline', '--port', '0', ...args], { env });
  const [, port = ''] = await proxy.waitFor('stderr', /endpoint_url="http:\/\/(?:localhost|127\.0\.0\.1):(\d+)/);
  return Number(port);
}

async function ask(link: string, path = 'exchanges'): Promise<Response> {
  const { origin, hash } = new URL(link.trim());
  const headers = { authorization: `Bearer ${hash.replace('#t=', '')}` };
  return fetch(`${origin}/inspect/api/v1/${path}`, { headers });
}

describe('inspect', () => {
  it('prints the link of the proxy that runs, which opens its page', async () => {
    const cli = await openCli();
    const port = await start(cli, ['--inspect']);
    const { stdout, code } = await cli.run(['inspect']);
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(new RegExp(`^http://localhost:${port}/inspect/#t=[\\w-]{43}\n$`)),
    ]);
    expect(await (await ask(stdout, 'state')).json()).toMatchObject({ kept: 'memory', is_capturing: true });
    const again = await cli.run(['inspect', 'link', '--no-open', '--json', '--port', String(port)]);
    expect(JSON.parse(again.stdout)).toEqual([{ port, url: stdout.trim() }]);
  });

  it('shows the ledger of all workers, whichever of them is asked', async () => {
    const cli = await openCli();
    const port = await start(cli, ['--workers', '2']);
    const body = '{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}';
    for (let count = 0; count < 4; count += 1) {
      await fetch(`http://127.0.0.1:${port}/bedrock/model/amazon.nova-lite-v1:0/converse`, {
        method: 'POST',
        body,
        headers: { connection: 'close' },
      });
    }
    const { stdout } = await cli.run(['inspect']);
    await expect
      .poll(async () => ((await (await ask(stdout)).json()) as { items: unknown[] }).items.length, { timeout: 5_000 })
      .toBe(4);
    for (let count = 0; count < 6; count += 1) expect((await ask(stdout)).status).toBe(200);
  });

  it('says that none runs, that several do, and that a page is off', async () => {
    const cli = await openCli();
    expect(await cli.run(['inspect'])).toMatchObject({ code: 1, stdout: '', stderr: 'No proxy runs.\n' });
    await start(cli, ['--host', '0.0.0.0'], { BEDROCK_PROXY_MASTER_KEY: 'sk-master-0123456789abcdef' });
    const off = await cli.run(['inspect']);
    expect([off.code, off.stdout, off.stderr]).toEqual([2, '', expect.stringContaining('--inspect-remote')]);
    const port = await start(cli);
    expect((await cli.run(['inspect'])).stderr).toContain('Several proxies run');
    expect((await cli.run(['inspect', '--port', String(port)])).stdout).toContain(`:${port}/inspect/#t=`);
  });

  it('has the token of BEDROCK_PROXY_INSPECT_TOKEN, and refuses a short one', async () => {
    const cli = await openCli();
    const token = 'abcdefghijklmnopqrstuvwxyz0123456789';
    await start(cli, [], { BEDROCK_PROXY_INSPECT_TOKEN: token });
    expect((await cli.run(['inspect'])).stdout).toContain(`#t=${token}`);
    const short = await cli.run(['start', '--offline'], { BEDROCK_PROXY_INSPECT_TOKEN: 'short' });
    expect([short.code, short.stderr]).toEqual([2, expect.stringContaining('BEDROCK_PROXY_INSPECT_TOKEN')]);
  });

  it('is the way to the token for who holds the secret of the database, and for nobody else', async () => {
    const cli = await openCli();
    const port = await start(cli);
    const stranger = await fetch(
      `http://localhost:${port}/health/status?challenge=${'a'.repeat(64)}&command=${'b'.repeat(64)}`,
    );
    expect([stranger.status, await stranger.text()]).toEqual([404, expect.not.stringContaining('inspect')]);
  });
});
