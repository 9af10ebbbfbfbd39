import { parseTarget } from '../../src/http/target.ts';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SERVICE_TABLES } from '../../src/operations/generated.ts';
import { findRoute, type RoutingConfig, resolveRouteByBody } from '../../src/routing/route.ts';
import { MANUAL_TABLES } from '../helpers/manual-tables.ts';
import path from 'node:path';

const config: RoutingConfig = {
  defaultRegion: 'us-west-2',
  openaiUpstream: 'runtime',
  fips: false,
  dualstack: false,
  endpointUrls: new Map(),
};

/** The operations as this test reads them: nothing of src but the bare tables. */
const OPERATIONS = SERVICE_TABLES.flatMap((table) => {
  const added = MANUAL_TABLES.filter(({ id }) => id === table.id && id === 'bedrock-agent');
  return [table, ...added]
    .flatMap(({ operations }) => operations.trim().split('\n'))
    .map((line) => {
      const [method = '', template = '', name = '', ...flags] = line.split(' ');
      return { label: `${table.id} ${name}: ${method} ${template}`, table, method, template, name, flags };
    });
});

const OWNER_ARNS: Readonly<Record<string, string>> = {
  'bedrock-agent': 'arn:aws:bedrock:us-west-2:123456789012:agent-alias/AGENT12345/ALIAS12345',
  'bedrock-agent-runtime': 'arn:aws:bedrock:us-west-2:123456789012:session/0f8b1d1e-6e0e-4d7a-9c58-0a7f6c0a4f10',
  'bedrock-agentcore-control': 'arn:aws:bedrock-agentcore:us-west-2:123456789012:runtime/my_agent-AbCdEf1234',
};
const ANY_ARN = 'arn:aws:bedrock:us-west-2:123456789012:custom-model/amazon.titan-text-v1:0/abcdefghijkl';

type Fill = (label: string, service: string) => string;

const FILLS: readonly (readonly [string, Fill])[] = [
  ['plain ids', (label, service) => (label === 'resourceArn' ? encodeURIComponent(arnOf(service)) : 'Abc-1_2.3x')],
  ['encoded ARNs', (_, service) => encodeURIComponent(arnOf(service))],
  ['ARNs with raw colons', (_, service) => arnOf(service).replaceAll('/', '%2F')],
  [
    'model ids',
    (label, service) => (label === 'resourceArn' ? encodeURIComponent(arnOf(service)) : 'eu.claude-v1%3A0'),
  ],
];

function arnOf(service: string): string {
  return OWNER_ARNS[service] ?? ANY_ARN;
}

function fillIn(template: string, service: string, fill: Fill): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, label: string) => fill(label, service));
}

describe('every modelled operation', () => {
  it('generates all 504 modelled operations', () => {
    expect(OPERATIONS).toHaveLength(504);
  });

  it.each(OPERATIONS)(
    'reaches the service of an operation without any hint: $label',
    async ({ table, method, template, name, flags }) => {
      for (const [[, fill], mount] of FILLS.flatMap((entry) => [[entry, '/bedrock'] as const, [entry, ''] as const])) {
        const rawPath = fillIn(template, table.id, fill);
        const headers =
          table.targetPrefix === undefined ? [] : [['X-Amz-Target', `${table.targetPrefix}.${name}`] as const];
        const body = JSON.stringify({
          resourceARN:
            table.id === 'bedrock-data-automation' ? 'arn:aws:bedrock:us-west-2:123456789012:blueprint/abc' : ANY_ARN,
        });
        const found = findRoute({
          method,
          target: parseTarget(`${mount}${rawPath}`),
          scope: undefined,
          headers,
          mountPath: '/bedrock',
          config,
        });
        const route = await resolveRouteByBody(found, { chunks: [Buffer.from(body)] });
        expect(route).toMatchObject({
          service: table.id,
          signingName: table.signingName,
          operation: name,
          plane: table.plane,
          ...(flags.includes('read') && name !== 'CountTokens' ? { effect: 'read' } : {}),
          upstreamTarget: { raw: rawPath, path: rawPath, query: undefined },
          region: 'us-west-2',
          host: `${table.id}.us-west-2.amazonaws.com`,
          origin: `https://${table.id}.us-west-2.amazonaws.com`,
          needsBody: false,
          streaming: streamingOf(flags),
        });
      }
    },
  );

  it.each(OPERATIONS)(
    'reaches the same operation behind the prefix of its service: $label',
    ({ table, method, template, name }) => {
      const rawPath = fillIn(template, table.id, () => 'Abc%3A0');
      const rawTarget = `/bedrock/${table.id}${rawPath}?maxResults=1`;
      const headers =
        table.targetPrefix === undefined ? [] : [['X-Amz-Target', `${table.targetPrefix}.${name}`] as const];
      expect(
        findRoute({ method, target: parseTarget(rawTarget), scope: undefined, headers, mountPath: '/bedrock', config }),
      ).toMatchObject({
        service: table.id,
        operation: name,
        upstreamTarget: parseTarget(`${rawPath}?maxResults=1`),
        needsBody: false,
      });
    },
  );

  it('generates no template that begins with the id of a service, so that prefixes are unambiguous', () => {
    const ids = new Set<string>([...SERVICE_TABLES, ...MANUAL_TABLES].map(({ id }) => id));
    expect(OPERATIONS.filter(({ template }) => ids.has(template.split('/')[1] ?? ''))).toEqual([]);
  });

  it('repeats no generated operation among the hand-written ones: when this fails, delete the row there', () => {
    const generated = new Set(
      SERVICE_TABLES.flatMap(({ id, operations }) =>
        operations
          .trim()
          .split('\n')
          .map((line) => `${id} ${line}`),
      ),
    );
    const written = MANUAL_TABLES.flatMap(({ id, operations }) =>
      operations
        .trim()
        .split('\n')
        .map((line) => `${id} ${line}`),
    );
    expect(written.filter((line) => generated.has(line))).toEqual([]);
  });
});

function streamingOf(flags: readonly string[]): string {
  if (flags.includes('both')) return 'bidirectional';
  return flags.includes('events') || flags.includes('blob') ? 'response' : 'none';
}

describe('the generator', () => {
  const script = path.resolve('scripts/generate-operations.mjs');
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'bedrock-proxy-operations-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const check = (out: string) =>
    promisify(execFile)(process.execPath, [script, '--check', '--out', out]).then(
      () => ({ code: 0, stderr: '' }),
      (error: { code: number; stderr: string }) => ({ code: error.code, stderr: error.stderr }),
    );

  it('generates the committed tables', { timeout: 60_000 }, async () => {
    expect(await check(path.resolve('src'))).toEqual({ code: 0, stderr: '' });
  });

  it('exits 1 and names the file if a generated table differs or is missing', { timeout: 60_000 }, async () => {
    await cp(path.resolve('src/operations/generated.ts'), path.join(folder, 'operations/generated.ts'));
    const text = await readFile(path.join(folder, 'operations/generated.ts'), 'utf8');
    await writeFile(path.join(folder, 'operations/generated.ts'), text.replace('InvokeModel\n', 'InvokeModle\n'));
    const { code, stderr } = await check(folder);
    expect(code).toBe(1);
    expect(stderr).toContain(path.join(folder, 'operations/generated.ts'));
    expect(stderr).toContain(path.join(folder, 'protocol/partitions.ts'));
  });
});
