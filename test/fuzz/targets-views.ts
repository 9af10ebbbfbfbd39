/** Fuzz target of the inspector's views: whatever bytes passed, they are shown, and the same at any split. */
import { deepStrictEqual, ok } from 'node:assert';
import { findContentFacts } from '../../src/inspector/views/exchange-facts.ts';
import { makeSnippet, SNIPPET_TARGETS } from '../../src/inspector/views/make-snippet.ts';
import { viewDiff } from '../../src/inspector/views/view-diff.ts';
import { viewFrames } from '../../src/inspector/views/view-frames.ts';
import { viewMessages } from '../../src/inspector/views/view-messages.ts';
import type { Exchange } from '../../src/inspector/exchange.ts';
import { keptBody, keptExchange } from '../helpers/kept-exchange.ts';
import type { FuzzTarget } from './engine.ts';
import { cuts } from './targets-bytes.ts';

const KINDS = [
  { status: 200, contentType: 'application/vnd.amazon.eventstream' },
  { status: 200, contentType: 'text/event-stream' },
  { status: 101, contentType: '' },
  { status: 200, contentType: 'application/json' },
];

/** Every view of a request and a response that are these bytes. */
export const VIEWS: FuzzTarget = {
  name: 'views',
  words: [
    'data: ',
    'event: error\n',
    '\r\n\r\n',
    '{"messages":[{"role":"user","content":[',
    '{"choices":[{"delta":{"content":"',
    '"toolUse":{"input":',
    '"__proto__":',
    '\\ud800',
  ],
  check: (input) => {
    for (const kind of KINDS) {
      const [whole, ...others] = cuts(input).map((pieces) => exchangeOf(kind, input, pieces));
      ok(whole !== undefined);
      const frames = framesOf(whole);
      if (kind.contentType !== 'application/json') for (const other of others) deepStrictEqual(framesOf(other), frames);
      const told = [viewMessages(whole), viewDiff(whole, whole), findContentFacts(whole), frames];
      const snippets = SNIPPET_TARGETS.map((as) => makeSnippet(whole, as, { url: 'http://127.0.0.1:4000' }));
      ok(JSON.stringify([told, snippets]).length > 0);
    }
  },
};

function exchangeOf(kind: (typeof KINDS)[number], request: Buffer, pieces: readonly Buffer[]): Exchange {
  const target = '/bedrock/model/a/converse';
  return keptExchange({ ...kind, request, target, row: { operation: 'Converse' }, response: keptBody(pieces) });
}

/** What does not depend on when the bytes came. */
function framesOf(exchange: Exchange): unknown {
  const { items, ...rest } = viewFrames(exchange, { from: 0, limit: 1_000 });
  return { ...rest, items: items.map(({ at_ms: _at, gap_ms: _gap, ...frame }) => frame) };
}
