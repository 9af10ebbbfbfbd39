/** What no upstream sends: rubbish in any pieces must never throw, and never make a number that is none. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HeaderPair } from '../../src/http/message.ts';
import { createTap, type Reading } from '../../src/metering/tap.ts';
import { OPERATION_ROWS } from '../../src/operations/find-facts.ts';
import { MAX_COUNT } from '../../src/metering/usage-tally.ts';
import { bytesOf, loadResponses, readChunks } from '../helpers/responses.ts';
import { eventFrame } from '../helpers/event-frames.ts';

const RESPONSES = ['json.json', 'streams.json', 'sse.json'].flatMap(loadResponses);
const OPERATIONS = [...OPERATION_ROWS].flatMap(([service, rows]) =>
  [...rows].flatMap(([operation, { usage }]) => (usage === 'metered' ? [{ service, operation }] : [])),
);
const CONTENT_TYPES = ['application/json', 'application/vnd.amazon.eventstream', 'text/event-stream', ''];
const PATHS = [
  'usage',
  'inputTokens',
  'output_tokens',
  'message',
  'metadata',
  'event',
  'usageEvent',
  'totalInputTokens',
];

/** Values that a liar would send: members with the right names, and anything in them. */
const lyingJson = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.double({ noNaN: true }),
    fc.constantFrom(-1, 0.5, 1e300, 2 ** 53, '7', null, true, '\u0000'),
    fc.dictionary(fc.oneof(fc.constantFrom(...PATHS), fc.constant('__proto__'), fc.string()), tie('value')),
    fc.array(tie('value'), { maxLength: 3 }),
  ),
})).value;

const rubbish = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  lyingJson.map((value) => Buffer.from(JSON.stringify(value))),
  lyingJson.map((value) => eventFrame('metadata', { usage: value })),
  lyingJson.map((value) =>
    eventFrame('chunk', { bytes: Buffer.from(JSON.stringify({ usage: value })).toString('base64') }),
  ),
  lyingJson.map((value) => Buffer.from(`data: ${JSON.stringify({ usage: value })}\n\n`)),
);

/** Every number of a reading is one. */
function isSane({ usage, outputBytes }: Reading): boolean {
  const { units = {}, guardrailUnits = {}, ...counts } = usage ?? {};
  const numbers = [...[counts, units, guardrailUnits].flatMap((told) => Object.values(told)), outputBytes];
  return numbers.every(
    (count) => Number.isSafeInteger(count) && count !== undefined && count >= 0 && count <= MAX_COUNT,
  );
}

describe('a tap', () => {
  it('survives whatever comes, in whatever pieces', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...OPERATIONS),
        fc.constantFrom(...CONTENT_TYPES),
        fc.array(rubbish, { maxLength: 6 }),
        fc.boolean(),
        fc.string(),
        (facts, contentType, chunks, isWhole, header) => {
          const tap = createTap(facts);
          const headers: HeaderPair[] = [
            ['content-type', contentType],
            ['x-amzn-bedrock-input-token-count', header],
          ];
          tap.onStart(200, headers);
          for (const chunk of chunks) tap.onBytes(chunk);
          return isSane(tap.finish(isWhole));
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('survives a changed byte, anywhere in any response', () => {
    for (const response of RESPONSES) {
      const bytes = bytesOf(response);
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
          const changed = Buffer.from(bytes);
          changed[at] = value;
          return isSane(readChunks(response, [changed]));
        }),
        { numRuns: 60 },
      );
    }
  });

  it('never believes a status that is none', () => {
    for (const status of [0, 101, 204, 304, 999]) {
      const tap = createTap({ service: 'bedrock-runtime', operation: 'Converse' });
      tap.onStart(status, []);
      tap.onBytes(Buffer.from('x'));
      expect(tap.finish(true).usage).toBeUndefined();
    }
  });
});
