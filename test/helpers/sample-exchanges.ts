/** Exchanges as a day of work leaves them: the same ones each time. For tests of the page, and for its pictures. */
import type { Exchange } from '../../src/inspector/exchange.ts';
import type { CacheView, ExplanationView } from '../../src/inspector/wire.ts';
import { eventFrame } from './event-frames.ts';
import { keptBody, keptExchange } from './kept-exchange.ts';

const START = Date.UTC(2026, 10, 28, 12, 4, 31);
const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';

interface Sample {
  readonly operation: string;
  readonly model: string | undefined;
  readonly key: string;
  readonly client: string;
  readonly usage?: NonNullable<Exchange['row']['usage']>;
  readonly totalMs: number;
  readonly costNanoUsd: number;
  readonly status?: number;
  readonly error?: readonly [code: string, message: string];
  readonly more?: Partial<Exchange>;
}

const SAMPLES: readonly Sample[] = [
  {
    operation: 'ConverseStream',
    model: SONNET,
    key: 'alice',
    client: 'claude-cli',
    usage: { inputTokens: 290, cacheReadTokens: 17_912, outputTokens: 412 },
    totalMs: 4_101,
    costNanoUsd: 21_300_000,
  },
  {
    operation: 'ConverseStream',
    model: SONNET,
    key: 'alice',
    client: 'claude-cli',
    totalMs: 118,
    costNanoUsd: 0,
    status: 429,
    error: ['ThrottlingException', 'Too many tokens, please wait before trying again.'],
  },
  {
    operation: 'InvokeModel',
    model: 'amazon.titan-embed-text-v2:0',
    key: 'search',
    client: 'boto3',
    usage: { inputTokens: 812, outputTokens: 0 },
    totalMs: 204,
    costNanoUsd: 16_240,
  },
  {
    operation: 'Converse',
    model: 'us.anthropic.claude-haiku-4-5-20251001-v1:0',
    key: 'batch',
    client: 'aws-sdk-js',
    totalMs: 96,
    costNanoUsd: 0,
    status: 400,
    error: ['ValidationException', 'max_tokens: 200000 > 64000, which is the maximum allowed number of output tokens'],
  },
  {
    operation: 'InvokeModelWithResponseStream',
    model: 'us.anthropic.claude-opus-4-1-20250805-v1:0',
    key: 'bob',
    client: 'cline',
    usage: { inputTokens: 2_140, cacheWriteTokens: 18_200, outputTokens: 1_804 },
    totalMs: 38_420,
    costNanoUsd: 498_000_000,
  },
  {
    operation: 'Converse',
    model: 'eu.amazon.nova-lite-v1:0',
    key: 'alice',
    client: 'boto3',
    usage: { inputTokens: 31, outputTokens: 88 },
    totalMs: 640,
    costNanoUsd: 22_980,
    more: { note: 'the short one' },
  },
];

/** The id of a sample. */
export function sampleId(number: number): string {
  return `01a22465-0000-7000-8000-${String(number).padStart(12, '0')}`;
}

/** One of them; the number is its place. */
export function sampleExchange(number: number, parts: Partial<Exchange> = {}): Exchange {
  const sample = SAMPLES[(number * 7) % SAMPLES.length] ?? SAMPLES[0];
  if (sample === undefined) throw new Error('there are samples');
  const { operation, model, key, client, usage, totalMs, costNanoUsd, status = 200, error, more } = sample;
  const isStreamed = operation.includes('Stream');
  const id = sampleId(number);
  return {
    ...keptExchange({
      id,
      sequence: number,
      status,
      request: REQUEST,
      ...(isStreamed && error === undefined ? { response: keptBody(FRAMES, { times: FRAME_TIMES }) } : {}),
      row: {
        id,
        operation,
        model,
        keyLabel: key,
        userAgent: client,
        usage,
        totalMs,
        status,
        costNanoUsd,
        isStreamed,
        firstByteMs: error === undefined ? totalMs * 0.15 : undefined,
        errorCode: error?.[0],
        errorMessage: error?.[1],
        startedAtMs: START + number * 4_000,
      },
      conversation: number > 4 ? { id: sampleId(1), turn: number, previous: sampleId(number - 4) } : undefined,
      times: {
        authenticatedMs: 0.2,
        bodyReadMs: 0.6,
        admittedMs: 0.9,
        signedMs: 1.4,
        sentMs: 2.1,
        headMs: totalMs * 0.15,
        firstByteMs: totalMs * 0.15,
        lastByteMs: totalMs - 1,
        endedMs: totalMs,
      },
    }),
    ...more,
    ...parts,
  };
}

/** So many, the oldest first. */
export function sampleExchanges(count: number): Exchange[] {
  return Array.from({ length: count }, (_, at) => sampleExchange(at + 1));
}

const REQUEST = {
  system: [{ text: 'You are a careful reviewer. Answer in one paragraph.' }, { cachePoint: { type: 'default' } }],
  messages: [
    { role: 'user', content: [{ text: 'Where is the bug in src/page.ts? The last row is never shown.' }] },
    {
      role: 'assistant',
      content: [
        { text: 'I look at the file first.' },
        { toolUse: { toolUseId: 'tooluse_1', name: 'read_file', input: { path: 'src/page.ts' } } },
      ],
    },
    {
      role: 'user',
      content: [
        {
          toolResult: {
            toolUseId: 'tooluse_1',
            content: [{ text: 'for (let at = 0; at < rows.length - 1; at += 1) draw(rows[at]);' }],
          },
        },
      ],
    },
  ],
  toolConfig: {
    tools: [
      {
        toolSpec: {
          name: 'read_file',
          description: 'Reads a file of the project.',
          inputSchema: { json: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] } },
        },
      },
    ],
  },
  inferenceConfig: { maxTokens: 1_024, temperature: 0.2 },
};

const ANSWER =
  'The off-by-one is in the loop: it ends at `rows.length - 1`, so the last row is left out. Drop the `- 1`.';

const FRAMES = [
  eventFrame('messageStart', { role: 'assistant', p: 'abcdefgh' }),
  ...(ANSWER.match(/.{1,12}/gs) ?? []).map((text) =>
    eventFrame('contentBlockDelta', { contentBlockIndex: 0, delta: { text }, p: 'abcdefghijk' }),
  ),
  eventFrame('contentBlockStop', { contentBlockIndex: 0 }),
  eventFrame('messageStop', { stopReason: 'end_turn' }),
  eventFrame('metadata', {
    usage: { inputTokens: 290, outputTokens: 412, totalTokens: 18_614, cacheReadInputTokens: 17_912 },
    metrics: { latencyMs: 3_390 },
  }),
];
const FRAME_TIMES = FRAMES.map((_, at) => 611.2 + at * 41.3 + (at > 6 ? 1_900 : 0));

/** What the explainer says of one that failed by throttling. */
export const THROTTLED: ExplanationView = {
  entry: 'throttled-tokens',
  cause: 'The account has used up its tokens per minute for this model in this region.',
  steps: [
    'Wait a moment: SDKs try again by themselves.',
    'Use an inference profile of several regions, such as us.anthropic.…',
    'Ask for a higher quota.',
  ],
  link: 'https://docs.aws.amazon.com/bedrock/latest/userguide/quotas.html',
  retry: 'later',
  checked: '2026-11-28',
};

/** What the cache doctor says of a turn whose prefix has changed. */
export const CHANGED: CacheView = {
  verdict: 'changed',
  confidence: 'certain',
  says: 'The system prompt has changed since the turn before: it holds the time of day.',
  advice: 'Put what changes behind the last cache point.',
  pointer: '/system/0/text',
  bytes: [1_284, 1_292],
  previous_bytes: [1_284, 1_292],
  change: 'timestamp',
  before: 'It is 12:04:02.',
  after: 'It is 12:04:31.',
  previous: sampleId(1),
  segments: [
    { pointer: '/toolConfig', size_bytes: 4_100, state: 'hit', has_marker: false },
    { pointer: '/system/0', size_bytes: 9_000, state: 'changed', has_marker: true },
    { pointer: '/messages', size_bytes: 2_000, state: 'after', has_marker: false },
  ],
  money: { actual_usd: '0.0683', with_hit_usd: '0.0057', without_markers_usd: '0.0546', lost_usd: '0.0626' },
};
