/**
 * `prices update` against real servers: what it keeps, what it says, and that nothing unusable replaces anything.
 */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { download } from '../../../src/cli/prices/fetch.ts';
import { parseRefreshed } from '../../../src/pricing/price-refresh.ts';
import { type Cli, openCli } from '../../helpers/cli.ts';
import { startForwardProxy } from '../../helpers/forward-proxy.ts';
import { listen } from '../../helpers/ports.ts';

const MODELS = [
  {
    id: 'amazon.nova-pro-v1:0',
    match: { equals: 'x' },
    prices: { input_mtok: 0.7, cache_read_mtok: 0.2, output_mtok: 3.2 },
  },
  {
    id: 'regional.openai.gpt-9',
    match: { equals: 'y' },
    prices: [
      { prices: { input_mtok: 2 } },
      {
        constraint: { start_date: '2026-01-01' },
        prices: { input_mtok: { base: 1, tiers: [{ start: 9, price: 3 }] } },
      },
    ],
  },
];
const DOCUMENT = JSON.stringify([
  { id: 'openai', models: [] },
  { id: 'aws', name: 'AWS Bedrock', models: MODELS },
]);

type Response = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(response: Response): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer(response))}`;
}

const serveText = (text: string, status = 200): Promise<string> =>
  serve((_request, response) => response.writeHead(status).end(text));

const fileOf = ({ databasePath }: Cli): string => join(dirname(databasePath), 'prices.json');

async function update(cli: Cli, url: string, ...more: readonly string[]) {
  return cli.run(['prices', 'update', '--from', url, ...more]);
}

describe('prices update', () => {
  it('keeps Bedrock’s prices beside the database, for their owner alone, and says what changed', async () => {
    const cli = await openCli();
    const url = await serveText(DOCUMENT);
    const { code, stdout, stderr } = await update(cli, `${url}/data.json`);
    expect(stdout).toBe(
      [
        'us-east-1  amazon.nova-pro-v1:0  input_mtok  0.8 -> 0.7',
        'us-east-1  openai.gpt-9  input_mtok  - -> {"base":1,"tiers":[{"start":9,"price":3}]}',
        '',
      ].join('\n'),
    );
    expect(stderr).toContain(`${new URL(url).host}: 1 document, 0 unchanged, with prices of 2 models`);
    expect(stderr).toContain('2 prices changed (USD per million tokens) in us-east-1.');
    expect(code).toBe(0);
    const file = fileOf(cli);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(dirname(file))).toEqual(['prices.json']);
    const { fetches } = parseRefreshed(await readFile(file, 'utf8'));
    expect(fetches.map((fetch) => [fetch.url, fetch.file.models])).toEqual([
      [`${url}/data.json`, ['amazon.nova-pro-v1:0', 'openai.gpt-9']],
    ]);
    const shown = await cli.run(['prices', 'show', 'us.openai.gpt-9', '--json']);
    expect(JSON.parse(shown.stdout)).toMatchObject({
      input_mtok: { base: 1, tiers: [{ start: 9, price: 3 }] },
      source: { kind: 'refreshed', entry: 'openai.gpt-9' },
    });
  });

  it('asks for the path and query of the URL, and sends nothing secret', async () => {
    const seen: IncomingMessage[] = [];
    const url = await serve((request, response) => {
      seen.push(request);
      response.end(DOCUMENT);
    });
    await update(await openCli(), `${url}/a/b.json?c=d`);
    expect(seen.map((request) => [request.method, request.url, request.headers])).toEqual([
      [
        'GET',
        '/a/b.json?c=d',
        {
          host: new URL(url).host,
          accept: 'application/json',
          'accept-encoding': 'identity',
          connection: 'keep-alive',
        },
      ],
    ]);
  });

  it('says that no price changed, and replaces a damaged file', async () => {
    const cli = await openCli();
    const url = await serveText(DOCUMENT);
    await update(cli, url);
    const again = await update(cli, url);
    expect(again).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining('No price changed in us-east-1.'),
    });
    await writeFile(fileOf(cli), '{');
    expect((await update(cli, url)).stdout).toContain('us-east-1  amazon.nova-pro-v1:0  input_mtok  0.8 -> 0.7');
  });

  it('prints the update as JSON of a stable shape', async () => {
    const cli = await openCli();
    const url = await serveText(DOCUMENT);
    const { stdout, stderr } = await update(cli, url, '--json');
    const standard = { region: 'us-east-1', tier: 'standard' };
    expect(JSON.parse(stdout)).toEqual({
      file: fileOf(cli),
      fetched_at: expect.stringMatching(/^\d{4}-/),
      regions: ['us-east-1'],
      sources: [{ name: new URL(url).host, documents: 1, unchanged: 0, models: 2, skipped_rows: 0 }],
      changes: [
        { ...standard, model: 'amazon.nova-pro-v1:0', price: 'input_mtok', before: 0.8, after: 0.7 },
        {
          ...standard,
          model: 'openai.gpt-9',
          price: 'input_mtok',
          before: null,
          after: { base: 1, tiers: [{ start: 9, price: 3 }] },
        },
      ],
    });
    expect(stderr).toBe('');
  });

  it('fetches prices through the forward proxy of the environment', async () => {
    const url = await serveText(DOCUMENT);
    await using proxy = await startForwardProxy({ toPort: Number(new URL(url).port) });
    const cli = await openCli();
    const env = { HTTP_PROXY: `http://127.0.0.1:${proxy.port}` };
    const { code } = await cli.run(['prices', 'update', '--from', 'http://prices.example/data.json'], env);
    expect(code).toBe(0);
    expect(proxy.targets).toEqual(['prices.example:80']);
  });
});

describe('what cannot be used', () => {
  const priceless = JSON.stringify([{ id: 'aws', models: [{ id: 'x.y', prices: { output_image_mtok: 3 } }] }]);

  it.each<{ name: string; response: Response; message: string }>([
    { name: 'a 404', response: (_, response) => response.writeHead(404).end(DOCUMENT), message: 'it answered 404' },
    {
      name: 'a redirect',
      response: (_, response) => response.writeHead(302, { location: '/x' }).end(),
      message: 'it answered 302',
    },
    { name: 'a page', response: (_, response) => response.end('<html>Log in</html>'), message: 'it is not JSON' },
    {
      name: 'a connection that breaks',
      response: (_, response) => {
        response.writeHead(200, { 'content-length': DOCUMENT.length });
        response.write(DOCUMENT.slice(0, 200), () => response.destroy());
      },
      message: 'No prices could be fetched',
    },
    { name: 'no price', response: (_, response) => response.end(priceless), message: 'none of its prices can be read' },
  ])('replaces no prices by $name', async ({ response, message }) => {
    const cli = await openCli();
    await mkdir(dirname(cli.databasePath), { recursive: true });
    await writeFile(fileOf(cli), 'as it was');
    const { code, stdout, stderr } = await update(cli, await serve(response));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toContain('hint: The prices of before stay in force.');
    expect(await readFile(fileOf(cli), 'utf8')).toBe('as it was');
    expect((await readdir(dirname(cli.databasePath))).length).toBe(1);
  });

  it('fails to fetch prices if nobody listens', async () => {
    const { code, stderr } = await update(await openCli(), 'http://127.0.0.1:1/data.json');
    expect(code).toBe(1);
    expect(stderr).toContain('No prices could be fetched from 127.0.0.1:1: ECONNREFUSED');
  });

  it.each([{ url: 'ftp://127.0.0.1/x' }, { url: 'no-such-file.json' }])(
    'refuses $url as the URL of prices',
    async ({ url }) => {
      expect(await update(await openCli(), url)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('--from'),
      });
    },
  );

  it('fails if fetched prices cannot be kept, and leaves no draft', async () => {
    const cli = await openCli();
    await mkdir(fileOf(cli), { recursive: true });
    const { code, stderr } = await update(cli, await serveText(DOCUMENT));
    expect(code).toBe(2);
    expect(stderr).toContain('The prices cannot be kept beside the key database (EISDIR)');
    expect(await readdir(dirname(cli.databasePath))).toEqual(['prices.json']);
  });
});

describe('the download', () => {
  const options = { network: undefined, timeoutMs: 60_000, maxBytes: 1000 };

  it('downloads what was sent, byte for byte, up to the size allowed', async () => {
    const text = 'é'.repeat(500);
    expect(await download(new URL(await serveText(text)), options)).toMatchObject({ kind: 'fetched', text });
  });

  it('ends a download that is larger than allowed', async () => {
    const url = new URL(await serveText('x'.repeat(1001)));
    await expect(download(url, options)).rejects.toMatchObject({
      code: 'ERR_UPSTREAM_UNREACHABLE',
      message: expect.stringContaining('it has more than 1000 bytes'),
    });
  });

  it.each<{ name: string; response: Response }>([
    { name: 'never answers', response: () => {} },
    { name: 'stops in the middle', response: (_, response) => void response.writeHead(200).write('[') },
  ])('ends a download whose server $name', async ({ response }) => {
    const url = new URL(await serve(response));
    await expect(download(url, { ...options, timeoutMs: 100 })).rejects.toMatchObject({
      code: 'ERR_UPSTREAM_UNREACHABLE',
      message: expect.stringContaining('it took more than 0.1 s'),
    });
  });
});
