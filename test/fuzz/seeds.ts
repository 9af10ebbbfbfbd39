/**
 * The first inputs of each target: what the tests have anyway, and the files of `seeds/`, one folder for each target,
 * where what a fuzzer found is kept.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventFrame, exceptionFrame } from '../helpers/event-frames.ts';
import { bytesOf, loadResponses } from '../helpers/responses.ts';
import type { FuzzTarget } from './engine.ts';
import { ARNS, ADMIN, CREDENTIAL, NAMES, PRICE_FILE, PRINTABLE, ROUTES, SIGNED_SEEDS, SIGV4 } from './targets-text.ts';
import { BILL, BILL_SEEDS } from './targets-bills.ts';
import { FILTER, OWN_FAULT } from './targets-faults.ts';
import { AWS_OFFER, FACT_FILE } from './targets-prices.ts';
import { PACKED_SEEDS, UNPACK } from './targets-packed.ts';
import { CACHE_PROMPT } from './targets-cache.ts';
import { EXCHANGE_LINE, EXCHANGE_SEEDS, SANITIZED } from './targets-exchanges.ts';
import { VIEWS } from './targets-views.ts';
import { EVENT_STREAM, FRAME_CHAIN, JSON_SCAN, SSE, TAP } from './targets-bytes.ts';

/** Where findings are kept. */
export const SEED_FOLDER = fileURLToPath(new URL('seeds', import.meta.url));

/** Every target. */
export const FUZZ_TARGETS: readonly FuzzTarget[] = [
  CACHE_PROMPT,
  JSON_SCAN,
  EVENT_STREAM,
  FRAME_CHAIN,
  SSE,
  TAP,
  UNPACK,
  SIGV4,
  CREDENTIAL,
  ROUTES,
  ARNS,
  NAMES,
  ADMIN,
  PRINTABLE,
  PRICE_FILE,
  AWS_OFFER,
  FACT_FILE,
  BILL,
  FILTER,
  OWN_FAULT,
  VIEWS,
  EXCHANGE_LINE,
  SANITIZED,
];

const FRAMES = Buffer.concat([
  eventFrame('messageStart', { role: 'assistant' }),
  eventFrame('metadata', { usage: { inputTokens: 1, outputTokens: 2, cacheDetails: [{ ttl: '1h', inputTokens: 1 }] } }),
  exceptionFrame('throttlingException', 'slow'),
]);
const BODIES = ['json.json', 'streams.json', 'sse.json'].flatMap((file) => loadResponses(file).map(bytesOf));
const small = (bodies: readonly Buffer[]): Buffer[] => bodies.filter(({ length }) => length <= 2048);

const OWN_SEEDS: Readonly<Record<string, readonly (string | Buffer)[]>> = {
  [JSON_SCAN.name]: [
    '{"model":"a","tools":[{"model":"b"}],"a":{"x":{"b":1.5e3}},"stream":true}',
    String.raw`{"m\u006fdel":"\ud83d\ude00","usage":{"inputTokens":12}}`,
    ...small(BODIES),
  ],
  [EVENT_STREAM.name]: [FRAMES],
  [FRAME_CHAIN.name]: [FRAMES, eventFrame('chunk', { bytes: 'aGk=' })],
  [SSE.name]: ['event: a\ndata: 1\ndata: 2\n\n', 'data:x\r\n\r\n: c\r\rdata', '\xef\xbb\xbfdata: y\n\n'],
  [TAP.name]: small(BODIES).flatMap((body) =>
    Array.from({ length: 10 }, (_, at) => Buffer.concat([Buffer.of(at), body])),
  ),
  [VIEWS.name]: [FRAMES, 'event: a\ndata: {"choices":[]}\n\n', ...small(BODIES)],
  [EXCHANGE_LINE.name]: EXCHANGE_SEEDS,
  [SANITIZED.name]: [FRAMES, 'xevent: a\ndata: {"choices":[]}\n\n', ...small(BODIES)],
  [UNPACK.name]: PACKED_SEEDS,
  [BILL.name]: BILL_SEEDS,
  [AWS_OFFER.name]: [AWS_OFFER.words.slice(0, 4).join(''), ...AWS_OFFER.words],
  [FACT_FILE.name]: [FACT_FILE.words.slice(0, 2).join('')],
  [SIGV4.name]: SIGNED_SEEDS,
  [CREDENTIAL.name]: [
    'GET /\nauthorization:Bearer sk-abc\nx-api-key:sk-def',
    'GET /?X-Amz-Credential=AKID/20260314/us-east-1/bedrock/aws4_request\nauthorization:Bearer eyJhbGciOiJub25lIn0.e30.x',
    ...SIGNED_SEEDS,
  ],
  [ROUTES.name]: [
    'POST /bedrock/model/anthropic.claude/converse-stream\nhost:localhost',
    'POST /bedrock/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Feu.a/invoke',
    'GET /bedrock/openai/v1/models\nx-bedrock-proxy-region:eu-central-1',
    'PUT /bedrock/bedrock-agentcore/runtimes/arn:aws:bedrock-agentcore:us-west-2:123456789012:runtime/a/invocations',
    'POST /bedrock/tags?tagKeys=a\nuser-agent:aws-sdk-js/3 api/bedrock-agent',
  ],
  [ARNS.name]: ['arn:aws:bedrock:us-east-1::foundation-model/a.b', '/model/arn%3Aaws%3Abedrock%3A%3A%3Aa%2Fb/converse'],
  [FILTER.name]: ['model:*haiku* (status:4xx | ttfb:>2s) -client:boto3', 'key:"my \\"big\\" laptop" | error:/^T\\/h/i'],
  [OWN_FAULT.name]: [
    'throttle retry-after=2',
    'gap=200ms..800ms',
    'cut at=frame:3+20b',
    'crc which=prelude',
    'status=503',
  ],
  [CACHE_PROMPT.name]: [
    '{"system":[{"text":"at 09:00:00"},{"cachePoint":{"type":"default"}}],"messages":[{"role":"user","content":[]}]}',
    '{"anthropic_version":"","system":"a","messages":[{"role":"user","content":[{"type":"text","text":"b",' +
      '"cache_control":{"type":"ephemeral"}}]}]}',
  ],
  [NAMES.name]: [
    'anthropic.*-v1:0\nus.anthropic.claude-haiku-4-5-20251001-v1:0',
    '*a*b*\narn:aws:bedrock:us-east-1::foundation-model/a.b',
  ],
  [ADMIN.name]: [
    '\0{"key_alias":"a","max_budget":1,"budget_duration":"30d","models":["*"]}',
    '\x05page=1&size=10',
    '\x01{"key":"sk-a"}',
  ],
  [PRINTABLE.name]: ['a\u001b[2Jb', Buffer.from('a\ud83d\ude00\u202e', 'utf16le')],
  [PRICE_FILE.name]: [
    '{"models":{"anthropic.*":{"input_mtok":3,"output_mtok":15,"tiers":{"flex":{"input_mtok":1.5}}},"a":{"image":0.04}}}',
    '{"models":{"bedrock/b":{"request":0.01}},"guardrail_units":{"topicPolicyUnits":0.15}}',
  ],
};

/** What a target starts with. */
export function findSeeds({ name }: FuzzTarget): Buffer[] {
  const own = (OWN_SEEDS[name] ?? []).map((seed) => (typeof seed === 'string' ? Buffer.from(seed, 'latin1') : seed));
  const folder = join(SEED_FOLDER, name);
  const kept = existsSync(folder) ? readdirSync(folder).map((file) => readFileSync(join(folder, file))) : [];
  return [...own, ...kept];
}
