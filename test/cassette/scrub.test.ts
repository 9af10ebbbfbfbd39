import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalize, canonicalizeRecorded, keyOf } from '../../src/cassette/match.ts';
import type { RecordedResponse } from '../../src/cassette/recording.ts';
import { DEFAULT_RULES, parseRules } from '../../src/cassette/rules.ts';
import { createScrubber } from '../../src/cassette/scrub.ts';
import { converse, recordedOf, say } from './requests.ts';

const RULES = parseRules({
  salt: 'pepper',
  scrub: [
    '/requestMetadata/user',
    'everywhere ~ /customer \\d+/ = customer',
    '/messages/*/content/*/text ~ /secret.*/ = secret',
    'query ~ /\\d+/',
    '/**/note ~ /\\w+/ = word',
    '/system ~ /.+/s = all',
  ],
});
const scrubber = createScrubber(RULES);
const text = (given: string): string => createScrubber(DEFAULT_RULES).text(given);

describe('what is scrubbed', () => {
  it('puts zeros in the place of account ids in ARNs', () => {
    expect(text('arn:aws:bedrock:eu-west-1:123456789012:inference-profile/x and 123456789012')).toBe(
      'arn:aws:bedrock:eu-west-1:000000000000:inference-profile/x and 123456789012',
    );
    expect(scrubber.value({ accountId: '123456789012', bucketOwner: '210987654321', other: '123456789012' })).toEqual({
      accountId: '000000000000',
      bucketOwner: '000000000000',
      other: '123456789012',
    });
  });

  it('gives the same address the same stand-in, whatever its case, and another one another', () => {
    const [one, same, other] = text('Alice@x.org alice@x.org bob@x.org').split(' ');
    expect(one).toMatch(/^email-[0-9a-f]{6}@example\.com$/);
    expect(same).toBe(one);
    expect(other).not.toBe(one);
  });

  it('depends on the salt of the cassette', () => {
    const [one, other] = ['a', 'b'].map((salt) => createScrubber({ scrub: [], salt }).text('alice@x.org'));
    expect(one).not.toBe(other);
  });

  it('looks into percent-encoded paths and queries, and leaves those alone that have nothing', () => {
    expect(scrubber.path('/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aprompt%2Fx/converse')).toBe(
      '/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A000000000000%3Aprompt%2Fx/converse',
    );
    expect(scrubber.path('/model/a%3a0/converse')).toBe('/model/a%3a0/converse');
    expect(scrubber.query('user=alice%40x.org&x&bad=%ff')).toMatch(/^user=email-[0-9a-f]{6}%40example\.com&x&bad=%ff$/);
  });

  it('says who asks by a stand-in, in the bodies of Anthropic', () => {
    expect(scrubber.requestJson({ metadata: { user_id: 'u-1' } })).toEqual({
      metadata: { user_id: expect.stringMatching(/^user-[0-9a-f]{6}$/) as string },
    });
  });

  it('scrubs each way a response is kept, and leaves base64 alone', () => {
    const response: RecordedResponse = {
      status: 200,
      headers: [
        ['x-amzn-RequestId', '4be1'],
        ['x', 'alice@x.org'],
      ],
      firstByteMs: 1,
      body: { json: { a: ['alice@x.org', 'customer 7'] } },
      frames: [
        [0, 'messageStart', { p: 'alice@x.org' }],
        [1, { exception: 'x', json: { message: 'alice@x.org' } }],
        [2, { headers: [['a', 'b']], text: 'alice@x.org' }],
        [3, { raw: 'QGFy' }],
      ],
      events: [
        [0, null, { p: 'alice@x.org' }],
        [1, { text: 'data: alice@x.org' }],
      ],
      chunks: [[0, { base64: 'QGFy' }]],
      end: 'complete',
      bytes: 1,
    };
    const done = JSON.stringify(scrubber.response(response));
    expect(done).not.toContain('alice');
    expect(done.match(/email-[0-9a-f]{6}@example\.com/g)).toHaveLength(7);
    expect(new Set(done.match(/email-[0-9a-f]{6}@example\.com/g))).toHaveLength(1);
    expect(done).toMatch(/customer-[0-9a-f]{6}/);
    expect(done).toContain('["x-amzn-RequestId","00000000-0000-0000-0000-000000000000"]');
    expect(done.match(/QGFy/g)).toHaveLength(2);
  });
});

/** Texts in which there is much to scrub, and stand-ins of before. */
const words = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'alice@x.org',
        'b.o+b@sub.example.co',
        'arn:aws:bedrock:us-east-1:123456789012:',
        'customer 12',
        'customer-12ab34',
        'secret',
        'email-12ab34@example.com',
        'all-12ab34',
        '@',
        '.',
        '.com',
        '-',
        ' ',
      ),
      fc.string({ maxLength: 4 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));
const bodies = fc.record({
  messages: fc.array(fc.record({ role: fc.constant('user'), content: fc.array(fc.record({ text: words })) })),
  system: words,
  note: words,
  requestMetadata: fc.record({ user: fc.oneof(words, fc.jsonValue()) }),
  metadata: fc.record({ user_id: words }),
  more: fc.jsonValue(),
});

describe('a scrubbed cassette', () => {
  it('is found by the request that was recorded', () => {
    fc.assert(
      fc.property(bodies, words, (body, user) => {
        const request = converse(JSON.parse(JSON.stringify(body)), { query: `user=${encodeURIComponent(user)}` });
        const recorded = scrubber.request(recordedOf(request));
        expect(keyOf(canonicalizeRecorded(recorded, RULES))).toBe(keyOf(canonicalize(request, RULES)));
      }),
      { numRuns: 100 },
    );
  });

  it('does not change if it is scrubbed again', () => {
    fc.assert(
      fc.property(words, (given) => {
        const once = text(given);
        expect(text(once)).toBe(once);
      }),
      { numRuns: 1_000 },
    );
  });

  it('does not hold what was scrubbed', () => {
    const request = converse(say('Ask alice@x.org, customer 4711.', { requestMetadata: { user: 'alice' } }));
    expect(JSON.stringify(scrubber.request(recordedOf(request)))).not.toMatch(/alice|4711/);
  });

  it('is found if the stand-in of a response comes back', () => {
    const asked = converse(say('Write to bob@x.org.'));
    const recorded = scrubber.request(recordedOf(asked));
    const again = converse(say(scrubber.text('Write to bob@x.org.')));
    expect(keyOf(canonicalize(again, RULES))).toBe(keyOf(canonicalizeRecorded(recorded, RULES)));
  });
});
