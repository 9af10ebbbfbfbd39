/** `prices update` from AWS's Price List: a server with its paths, which says what it was asked. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OFFERS } from '../../../src/pricing/aws-offer.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { type Cli, openCli } from '../../helpers/cli.ts';
import { listen } from '../../helpers/ports.ts';
import { type OfferRow, offerOf } from '../../helpers/price-offer.ts';
import { aLedgerRow } from '../../helpers/store-rows.ts';

type Offer = (typeof OFFERS)[number];

interface PriceList {
  readonly origin: string;
  /** By `Offer region`; what is not here is a 404. */
  readonly offers: Map<string, string>;
  readonly asked: string[];
}

async function openPriceList(): Promise<PriceList> {
  const offers = new Map<string, string>();
  const asked: string[] = [];
  const server = createServer(({ url = '', headers }, response) => {
    const [, offer, region] = /^\/offers\/v1\.0\/aws\/(\w+)\/current\/([\w-]+)\/index\.json$/.exec(url) ?? [];
    const name = `${offer} ${region}`;
    asked.push(headers['if-none-match'] === undefined ? name : `${name} if ${headers['if-none-match']}`);
    const text = offers.get(name);
    if (text === undefined) return void response.writeHead(404).end('<Error/>');
    const etag = `"${text.length}"`;
    if (headers['if-none-match'] === etag) return void response.writeHead(304, { etag }).end();
    response.writeHead(200, { etag }).end(text);
  });
  return { origin: `http://127.0.0.1:${await listen(server)}`, offers, asked };
}

function novaPro(regionCode: string, prefix: string, input: string): OfferRow[] {
  return [
    { usagetype: `${prefix}-NovaPro-input-tokens`, usd: input, model: 'Nova Pro', regionCode },
    { usagetype: `${prefix}-NovaPro-output-tokens`, usd: '0.0042', model: 'Nova Pro', regionCode },
  ];
}

const put = ({ offers }: PriceList, offer: Offer, region: string, rows: readonly OfferRow[]): unknown =>
  offers.set(`${offer} ${region}`, offerOf(rows));

const update = (cli: Cli, { origin }: PriceList, ...more: readonly string[]) =>
  cli.run(['prices', 'update', '--from', 'aws', '--price-list', origin, ...more]);

async function show(cli: Cli, model: string, region: string): Promise<unknown> {
  const { stdout } = await cli.run(['prices', 'show', model, '--region', region, '--json']);
  return JSON.parse(stdout);
}

const fileOf = ({ databasePath }: Cli): string => join(dirname(databasePath), 'prices.json');

describe("AWS's offers", () => {
  it('are fetched for the regions of the ledger and of the configuration, and take the place of what is built in', async () => {
    const cli = await openCli();
    await mkdir(dirname(cli.databasePath), { recursive: true });
    const store = await openSqliteStore(cli.databasePath);
    await store.settleAll([aLedgerRow({ region: 'eu-central-1' }), aLedgerRow({ region: 'not a region' })]);
    await store.close();
    const list = await openPriceList();
    put(list, 'AmazonBedrock', 'us-west-2', novaPro('us-west-2', 'USW2', '0.00081'));
    put(list, 'AmazonBedrockFoundationModels', 'eu-central-1', novaPro('eu-central-1', 'EUC1', '0.0011'));
    const { code, stdout, stderr } = await cli.run(
      ['prices', 'update', '--from', 'aws', '--price-list', list.origin, '--region', 'us-west-2'],
      {},
    );
    expect(code, stderr).toBe(0);
    expect(new Set(list.asked)).toEqual(
      new Set(['us-west-2', 'eu-central-1'].flatMap((region) => OFFERS.map((offer) => `${offer} ${region}`))),
    );
    expect(stdout).toContain('us-west-2  amazon.nova-pro-v1:0  input_mtok  0.8 -> 0.81\n');
    expect(stdout).toContain('eu-central-1  amazon.nova-pro-v1:0  input_mtok  1.05 -> 1.1\n');
    expect(stderr).toContain('AWS Price List: 2 documents, 0 unchanged, with prices of 1 models');
    const source = { kind: 'refreshed', source: 'aws', as_of: expect.any(String), entry: 'amazon.nova-pro-v1:0' };
    expect(await show(cli, 'eu.amazon.nova-pro-v1:0', 'eu-central-1')).toMatchObject({ input_mtok: 1.1, source });
    expect(await show(cli, 'amazon.nova-pro-v1:0', 'us-east-1')).toMatchObject({ input_mtok: 0.8 });
  });

  it('are asked for with the tag of the last time, and what is unchanged stays in force', async () => {
    const [cli, list] = [await openCli(), await openPriceList()];
    put(list, 'AmazonBedrock', 'us-east-1', novaPro('us-east-1', 'USE1', '0.00082'));
    await update(cli, list);
    list.asked.length = 0;
    const again = await update(cli, list);
    expect(list.asked.filter((one) => one.startsWith('AmazonBedrock us'))).toEqual([
      expect.stringMatching(/^AmazonBedrock us-east-1 if "\d+"$/),
    ]);
    expect(again).toMatchObject({ code: 0, stdout: '' });
    expect(again.stderr).toContain('1 document, 1 unchanged');
    expect(await show(cli, 'amazon.nova-pro-v1:0', 'us-east-1')).toMatchObject({ input_mtok: 0.82 });
    put(list, 'AmazonBedrock', 'us-east-1', novaPro('us-east-1', 'USE1', '0.000833'));
    expect((await update(cli, list)).stdout).toContain('input_mtok  0.82 -> 0.833');
  });

  it('keep those of another region that was fetched before', async () => {
    const [cli, list] = [await openCli(), await openPriceList()];
    put(list, 'AmazonBedrock', 'us-east-1', novaPro('us-east-1', 'USE1', '0.00082'));
    put(list, 'AmazonBedrock', 'eu-west-1', novaPro('eu-west-1', 'EUW1', '0.00112'));
    await update(cli, list, '--regions', 'us-east-1');
    await update(cli, list, '--regions', 'eu-west-1');
    expect(await show(cli, 'amazon.nova-pro-v1:0', 'us-east-1')).toMatchObject({ input_mtok: 0.82 });
    expect(await show(cli, 'amazon.nova-pro-v1:0', 'eu-west-1')).toMatchObject({ input_mtok: 1.12 });
  });

  it.each<{ name: string; break: (list: PriceList) => void; message: string }>([
    {
      name: 'one of them is cut short',
      break: ({ offers }) => offers.set('AmazonBedrock us-west-2', offerOf([]).slice(0, -9)),
      message: 'it is not JSON, or not all of it',
    },
    { name: 'a region has none', break: ({ offers }) => offers.delete('AmazonBedrock us-west-2'), message: '404' },
    {
      name: 'one has no price of a known model',
      break: (list) => put(list, 'AmazonBedrock', 'us-west-2', [{ usagetype: 'USW2-Unheard-input-tokens', usd: '1' }]),
      message: 'none of its prices is of a model that is known here',
    },
  ])('count all or not at all: $name', async ({ break: breakIt, message }) => {
    const [cli, list] = [await openCli(), await openPriceList()];
    for (const region of ['us-east-1', 'us-west-2']) {
      put(list, 'AmazonBedrock', region, novaPro(region, region === 'us-east-1' ? 'USE1' : 'USW2', '0.00082'));
    }
    await update(cli, list, '--regions', 'us-east-1', 'us-west-2');
    const before = await readFile(fileOf(cli), 'utf8');
    put(list, 'AmazonBedrock', 'us-east-1', novaPro('us-east-1', 'USE1', '0.00099'));
    breakIt(list);
    const { code, stderr } = await update(cli, list, '--regions', 'us-east-1', 'us-west-2');
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr).toContain('hint: The prices of before stay in force.');
    expect(await readFile(fileOf(cli), 'utf8')).toBe(before);
  });

  it('are read from a file as well', async () => {
    const cli = await openCli();
    const file = join(cli.home, 'offer.json');
    await writeFile(file, offerOf(novaPro('us-east-1', 'USE1', '0.00084')));
    const { code, stdout } = await cli.run(['prices', 'update', '--from', file]);
    expect(code).toBe(0);
    expect(stdout).toContain('us-east-1  amazon.nova-pro-v1:0  input_mtok  0.8 -> 0.84');
  });

  it.each([
    { args: ['--regions', 'moon-1'], message: '--regions: moon-1 is not an AWS region' },
    { args: ['--from', 'no/such/file.json'], message: 'The file of --from cannot be read (ENOENT).' },
  ])('refuse $args', async ({ args, message }) => {
    const { code, stderr } = await (await openCli()).run(['prices', 'update', ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
