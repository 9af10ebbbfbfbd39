/**
 * What the offline Bedrock answers, checked against AWS's own models of it, as botocore has them. Skipped by name where
 * no Python has boto3 (CONTRIBUTING.md).
 * @module-tag slow
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPERATIONS } from '../../../src/operations/catalog.ts';
import { EMPTY_LISTS } from '../../../src/upstream/offline/empty-lists.ts';
import type { OfflineBedrock } from '../../../src/upstream/offline/server.ts';
import { PYTHON_WITH_BOTO3 } from '../../helpers/boto3.ts';
import { decodeFrames } from '../../helpers/event-frames.ts';
import { sendSigned, startForTest } from '../../helpers/offline-bedrock.ts';

const SCRIPT = fileURLToPath(new URL('botocore_shapes.py', import.meta.url));
const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const LONG = { text: 'word '.repeat(1100) };
const POINT = { cachePoint: { type: 'default' } };
const ASK = { messages: [{ role: 'user', content: [LONG, POINT, { text: 'a badword, and hi' }] }] };
const TOOLS = { tools: [{ toolSpec: { name: 'look', inputSchema: { json: {} } } }], toolChoice: { any: {} } };
const THINK = { additionalModelRequestFields: { thinking: { type: 'adaptive' } } };
const GUARD = { guardrailConfig: { guardrailIdentifier: 'abc', guardrailVersion: '1', trace: 'enabled_full' } };
const RERANKER = 'arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0';
const KNOWLEDGE = {
  type: 'KNOWLEDGE_BASE',
  knowledgeBaseConfiguration: { knowledgeBaseId: 'ABCDEFGHIJ', modelArn: RERANKER },
};

interface Case {
  readonly service: string;
  readonly operation: string;
  readonly path: string;
  readonly method?: string;
  readonly body?: object;
}

const CASES: readonly Case[] = [
  ...[ASK, { ...ASK, ...THINK }, { ...ASK, toolConfig: TOOLS }, { ...ASK, ...GUARD }].flatMap((body) =>
    (['Converse', 'ConverseStream'] as const).map((operation) => ({
      service: 'bedrock-runtime',
      operation,
      path: `/model/${CLAUDE}/${operation === 'Converse' ? 'converse' : 'converse-stream'}`,
      body,
    })),
  ),
  {
    service: 'bedrock-runtime',
    operation: 'CountTokens',
    path: `/model/${CLAUDE}/count-tokens`,
    body: { input: { converse: ASK } },
  },
  {
    service: 'bedrock-runtime',
    operation: 'ApplyGuardrail',
    path: '/guardrail/abc/version/1/apply',
    body: { source: 'INPUT', content: [{ text: { text: 'badword' } }] },
  },
  {
    service: 'bedrock-runtime',
    operation: 'StartAsyncInvoke',
    path: '/async-invoke',
    body: {
      modelId: 'amazon.nova-reel-v1:0',
      modelInput: {},
      outputDataConfig: { s3OutputDataConfig: { s3Uri: 's3://bucket' } },
    },
  },
  { service: 'bedrock-runtime', operation: 'ListAsyncInvokes', path: '/async-invoke', method: 'GET' },
  { service: 'bedrock', operation: 'ListFoundationModels', path: '/foundation-models', method: 'GET' },
  { service: 'bedrock', operation: 'GetFoundationModel', path: `/foundation-models/${CLAUDE}`, method: 'GET' },
  {
    service: 'bedrock',
    operation: 'ListInferenceProfiles',
    path: '/inference-profiles',
    method: 'GET',
  },
  { service: 'bedrock', operation: 'GetInferenceProfile', path: `/inference-profiles/${CLAUDE}`, method: 'GET' },
  {
    service: 'bedrock-agent-runtime',
    operation: 'Rerank',
    path: '/rerank',
    body: {
      queries: [{ type: 'TEXT', textQuery: { text: 'gold' } }],
      sources: [
        {
          type: 'INLINE',
          inlineDocumentSource: { type: 'TEXT', textDocument: { text: 'the price of gold' } },
        },
        { type: 'INLINE', inlineDocumentSource: { type: 'JSON', jsonDocument: { a: 'cat' } } },
      ],
      rerankingConfiguration: {
        type: 'BEDROCK_RERANKING_MODEL',
        bedrockRerankingConfiguration: { modelConfiguration: { modelArn: RERANKER } },
      },
    },
  },
  {
    service: 'bedrock-agent-runtime',
    operation: 'Retrieve',
    path: '/knowledgebases/ABCDEFGHIJ/retrieve',
    body: { retrievalQuery: { text: 'x' } },
  },
  {
    service: 'bedrock-agent-runtime',
    operation: 'RetrieveAndGenerate',
    path: '/retrieveAndGenerate',
    body: { input: { text: 'x' }, retrieveAndGenerateConfiguration: KNOWLEDGE },
  },
  ...Object.keys(EMPTY_LISTS).flatMap((key): Case[] => {
    const [service = '', operation = ''] = key.split('.');
    const row = OPERATIONS.find((one) => one.service.id === service && one.name === operation);
    // The services that share /tags tell their resources apart by ARN, which no host of one service needs.
    const path = row?.template.replace(/\{.*?\}/, encodeURIComponent('arn:aws:bedrock:us-east-1:123456789012:agent/A'));
    return path === undefined ? [] : [{ service, operation, path, method: row?.method ?? '', body: {} }];
  }),
];

let bedrock: OfflineBedrock;

beforeAll(async () => {
  bedrock = await startForTest();
});

afterAll(() => bedrock.close());

interface CheckedReply {
  readonly service: string;
  readonly operation: string;
  readonly event?: string;
  readonly body: unknown;
}

async function repliesTo({ service, operation, path, method = 'POST', body }: Case): Promise<CheckedReply[]> {
  const response = await sendSigned(bedrock.port, {
    method,
    path,
    host: `${service}.us-east-1.amazonaws.com`,
    service: service.startsWith('bedrock-agentcore') ? 'bedrock-agentcore' : 'bedrock',
    headers: { 'content-type': 'application/json' },
    ...(body === undefined || method === 'GET' ? {} : { body: JSON.stringify(body) }),
  });
  expect({ operation, path, status: response.status, text: response.body.toString().slice(0, 200) }).toMatchObject({
    status: 200,
  });
  if (!operation.endsWith('Stream')) return [{ service, operation, body: JSON.parse(response.body.toString()) }];
  return decodeFrames(response.body).map(({ headers, body: payload }) => ({
    service,
    operation,
    event: String(headers[':event-type']?.value),
    body: JSON.parse(Buffer.from(payload).toString()),
  }));
}

describe.skipIf(PYTHON_WITH_BOTO3 === undefined)('the models of botocore (skipped where no Python has it)', () => {
  it('have every member of every answer, of the right type and pattern', async () => {
    const replies: CheckedReply[] = [];
    for (const one of CASES) replies.push(...(await repliesTo(one)));
    const input = JSON.stringify(replies);
    const found: unknown = JSON.parse(execFileSync(PYTHON_WITH_BOTO3 ?? '', [SCRIPT], { input, encoding: 'utf8' }));
    expect(found).toEqual(replies.map(() => []));
    expect(replies.length).toBeGreaterThan(CASES.length);
  });
});
