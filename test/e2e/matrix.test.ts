/**
 * Every modelled operation, through the whole proxy: the right host, signing name, raw path, query and body arrive with
 * a valid signature. Only the bidirectional stream has a test of its own (bidirectional-clients.test.ts).
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { OPERATIONS } from '../../src/operations/catalog.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { SERVICE_TABLES } from '../../src/operations/generated.ts';
import { MANUAL_TABLES } from '../helpers/manual-tables.ts';
import { type Testbed, startProxy } from '../helpers/testbed.ts';

interface Row {
  readonly name: string;
  readonly service: string;
  readonly signingName: string;
  readonly method: string;
  readonly rawPath: string;
  readonly target: string | undefined;
}

const REGION = 'eu-central-1';
const RESOURCES: Readonly<Record<string, string>> = {
  'bedrock-agent-runtime': 'bedrock:eu-central-1:123456789012:session/0f8b1d1e-6e0e-4d7a-9c58-0a7f6c0a4f10',
  'bedrock-agentcore-control': 'bedrock-agentcore:eu-central-1:123456789012:runtime/my_agent-AbCdEf1234',
  'bedrock-data-automation': 'bedrock:eu-central-1:123456789012:blueprint/abc',
};

interface Table {
  readonly id: string;
  readonly operations: string;
  readonly signingName?: string;
  readonly targetPrefix?: string | undefined;
}

const TABLES: readonly Table[] = [...SERVICE_TABLES, ...MANUAL_TABLES.filter(({ id }) => id === 'bedrock-agent')];

const ROWS: readonly Row[] = TABLES.flatMap(({ id, operations, signingName = 'bedrock', targetPrefix }) =>
  operations
    .trim()
    .split('\n')
    .map((line) => {
      const [method = '', template = '', name = ''] = line.split(' ');
      const rawPath = template.replaceAll(/\{(\w+)\}/g, (_, label: string) => fill(label, id));
      const target = targetPrefix === undefined ? undefined : `${targetPrefix}.${name}`;
      return { name, service: id, signingName, method, rawPath, target };
    }),
);
const MASTER_KEY = 'sk-master-key-of-the-matrix';
const SECRETS = new Set(OPERATIONS.filter(({ effect }) => effect === 'secret').map(({ name = '' }) => name));
const UNARY_ROWS = ROWS.filter(({ name }) => name !== 'InvokeModelWithBidirectionalStream');

function arnOf(service: string): string {
  return `arn:aws:${RESOURCES[service] ?? 'bedrock:eu-central-1:123456789012:agent-alias/AGENT12345/ALIAS12345'}`;
}

/**
 * Realistic values, as SDKs encode them: ARNs where the label wants one, model ids with an encoded colon, plain ids
 * else.
 */
function fill(label: string, service: string): string {
  if (/arn$/i.test(label)) return encodeURIComponent(arnOf(service));
  return label === 'modelId' ? 'us.anthropic.claude-sonnet-4-5-20250929-v1%3A0' : 'Abc123XYZ0-1_2';
}

let testbed: Testbed;
beforeAll(async () => {
  const environment = { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY };
  testbed = await startProxy({ realHosts: true, flags: { region: REGION }, environment });
  testbed.upstream.respondWith((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{}');
  });
});
afterAll(() => testbed[Symbol.asyncDispose]());

it('has a row for all 504 operations', () => {
  expect(ROWS).toHaveLength(504);
  expect(UNARY_ROWS).toHaveLength(503);
});

it.each(UNARY_ROWS)('routes $service $name: $method $rawPath', async (row) => {
  // What hands out credentials is for no key, of whatever scope.
  const key = SECRETS.has(row.name) ? MASTER_KEY : await ensureKey();
  const withBody = row.method !== 'GET' && row.method !== 'HEAD';
  const body = JSON.stringify({ resourceARN: arnOf(row.service), text: 'Grüße\u0000', list: [1.0, 1e3] });
  const query = row.target === undefined ? '?maxResults=10&b=%C3%BC&b=a&empty' : '';
  const response = await fetch(`${testbed.url}${row.rawPath}${query}`, {
    method: row.method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(withBody ? { 'content-type': 'application/json' } : {}),
      ...(row.target === undefined ? {} : { 'x-amz-target': row.target }),
    },
    ...(withBody ? { body } : {}),
  });
  expect(await response.text()).toBe('{}');
  const arrived = await testbed.upstream.nextRequest();
  expect(testbed.upstream.failures).toEqual([]);
  expect(arrived).toMatchObject({ method: row.method, rawTarget: `${row.rawPath}${query}`, failure: undefined });
  expect(arrived.header('host')).toBe(`${row.service}.${REGION}.amazonaws.com`);
  expect(arrived.signature?.scope).toMatchObject({ service: row.signingName, region: REGION });
  expect(arrived.body.toString()).toBe(withBody ? body : '');
  expect(testbed.records.at(-1)?.route).toMatchObject({ service: row.service, operation: row.name });
});

let keyOnce: Promise<string> | undefined;
function ensureKey(): Promise<string> {
  keyOnce ??= testbed.mint('matrix', { policy: { ...EMPTY_POLICY, scope: 'all' } }).then(({ key }) => key);
  return keyOnce;
}
