/** What filters find in exchanges beside what the ledger knows. */
import { describe, expect, it } from 'vitest';
import { readRecordFilter } from '../../../src/filter/record-filter.ts';
import { readExchangeFilter } from '../../../src/inspector/views/exchange-filter.ts';
import { eventFrame, exceptionFrame } from '../../helpers/event-frames.ts';
import { type ExchangeParts, keptBody, keptExchange } from '../../helpers/kept-exchange.ts';

const REQUEST = {
  system: [{ text: 'You are "kind".' }],
  messages: [
    {
      role: 'user',
      content: [{ text: 'Where is the needle?' }, { image: { format: 'png', source: { bytes: 'AAAA' } } }],
    },
  ],
  guardrailConfig: { guardrailIdentifier: 'g' },
};
const FRAMES = [
  eventFrame('messageStart', { role: 'assistant' }),
  eventFrame('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'Hm.' } } }),
  eventFrame('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'In the hay' } }),
  eventFrame('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'stack.' } }),
  eventFrame('contentBlockStart', { contentBlockIndex: 2, start: { toolUse: { toolUseId: 't', name: 'read_file' } } }),
  eventFrame('messageStop', { stopReason: 'max_tokens' }),
  exceptionFrame('throttlingException', 'Slow down.'),
];
const EXCHANGE: ExchangeParts = {
  sequence: 1042,
  request: REQUEST,
  requestHeaders: [
    ['User-Agent', 'claude-cli/2.1.0 (external, cli)'],
    ['anthropic-beta', 'fine-grained-tool-streaming-2025-05-14'],
  ],
  response: keptBody(FRAMES, { times: [600, 610, 620, 630, 1_300, 1_310, 1_320] }),
  end: 'cut',
  parent: 'p',
  isPinned: true,
  note: 'The odd one',
  attempt: { number: 2, previous: 'a' },
  conversation: { id: 'c-1', turn: 3, previous: 'b' },
};

function matches(text: string, parts: ExchangeParts = EXCHANGE): boolean {
  const filter = readExchangeFilter(text, Date.UTC(2026, 10, 28, 0, 5));
  if ('problem' in filter) throw new Error(filter.problem);
  return filter.matches(keptExchange(parts));
}

it.each([
  '',
  'model:*sonnet* status:2xx key:alice since:10m',
  'odd',
  'client:boto3 client:*claude-cli*',
  'id:1042',
  'gap:>500ms gap:<1s',
  'is:replay is:pinned is:retry is:cut is:stream -is:open -is:edited -is:own',
  'has:thinking has:tool has:image has:guardrail has:exception has:note -has:document',
  'tool:read_file tool:read*',
  'stop:max_tokens',
  'body:"needle" body:haystack body:/hay\\w+\\./ -body:"none"',
  'body:"You are \\"kind\\"."',
  'request:needle -request:haystack',
  'text:"in the haystack." text:hm -text:needle',
  'conv:c-1',
  'header:anthropic-beta header:anthropic-beta=fine* -header:anthropic-beta=no',
])('matches: %s', (text) => {
  expect(matches(text)).toBe(true);
});

it.each(['is:open', 'tool:write_file', 'body:"haystacks"', 'needle', 'conv:c-2', 'gap:>1s'])(
  'does not match: %s',
  (text) => {
    expect(matches(text)).toBe(false);
  },
);

it('finds nothing in what is not kept, and does not fail', () => {
  const parts: ExchangeParts = { layers: {}, omitted: 'off' };
  for (const text of ['body:x', 'text:x', 'request:x', 'has:tool', 'tool:x', 'stop:x', 'gap:>1ms', 'header:x']) {
    expect(matches(text, parts)).toBe(false);
    expect(matches(`-${text}`, parts)).toBe(true);
  }
});

it('finds what grows as soon as it has come', () => {
  const pieces = [...FRAMES];
  const open = (count: number): ExchangeParts => ({
    ...EXCHANGE,
    end: 'open',
    response: keptBody(pieces.slice(0, count)),
  });
  expect(matches('tool:read_file', open(4))).toBe(false);
  expect(matches('tool:read_file is:open', open(5))).toBe(true);
});

describe('mistakes', () => {
  it.each([
    { text: 'toll:x', problem: 'There is no field "toll" (at character 1).' },
    {
      text: 'has:tols',
      problem: 'has: takes thinking, tool, image, document, guardrail, exception, note (at character 1).',
    },
    { text: 'gap:long', problem: 'gap: takes >2s, <500ms or 1s..3s (at character 1).' },
    { text: 'body:/(/', problem: 'The regular expression at character 6 is not one.' },
  ])('$text', ({ text, problem }) => {
    expect(readExchangeFilter(text, 0)).toMatchObject({ problem });
  });

  it.each([
    {
      text: 'a has:tool',
      problem: 'has: looks at what the inspector keeps, and the ledger does not (at character 3).',
    },
    {
      text: 'is:pinned',
      problem: 'is:pinned looks at what the inspector keeps, and the ledger does not (at character 1).',
    },
  ])('the ledger says what it cannot tell: $text', ({ text, problem }) => {
    expect(readRecordFilter(text, 0)).toMatchObject({ problem });
  });

  it('knows in the ledger every field that only the inspector has', () => {
    const all = readExchangeFilter('xyzzy:1', 0);
    const fields = 'problem' in all ? (/^The fields are (.*); /.exec(all.hint ?? '')?.[1] ?? '').split(', ') : [];
    expect(fields.length).toBeGreaterThan(30);
    for (const field of fields) {
      const found = readRecordFilter(`${field}:"?"`, 0);
      expect('problem' in found ? found.problem : '').not.toContain('There is no field');
    }
  });
});
