import { describe, expect, it } from 'vitest';
import { canonicalize, canonicalizeRecorded, keyOf, modelOf } from '../../src/cassette/match.ts';
import type { MatchableRequest } from '../../src/cassette/recording.ts';
import { DEFAULT_RULES, parseRules } from '../../src/cassette/rules.ts';
import { converse, recordedOf, say } from './requests.ts';

const key = (request: MatchableRequest, match: object = {}): string =>
  keyOf(canonicalize(request, parseRules({ match })));
const HELLO = converse(say('Hello.'));
const bytes = (text: string): Uint8Array => Buffer.from(text);
const tool = (name: string, description: string): object => ({ toolSpec: { name, description, inputSchema: {} } });
const openAiTool = (description: string): object => ({ type: 'function', function: { name: 'find', description } });

/** Two requests, and whether they are the same: by the rules of a cassette without any, and by rules. */
const ROWS: readonly {
  readonly name: string;
  readonly one: MatchableRequest;
  readonly other: MatchableRequest;
  readonly match?: object;
  readonly isSame: boolean;
}[] = [
  {
    name: 'spaces and the order of members do not count',
    one: { ...HELLO, body: bytes('{"a":1,"b":[1,2]}') },
    other: { ...HELLO, body: bytes(' {"b":[1.0,2e0], "a":1}') },
    isSame: true,
  },
  {
    name: 'the order of a list counts',
    one: { ...HELLO, body: bytes('[1,2]') },
    other: { ...HELLO, body: bytes('[2,1]') },
    isSame: false,
  },
  { name: 'a text counts', one: HELLO, other: converse(say('Hello')), isSame: false },
  { name: 'a null is not nothing', one: HELLO, other: converse({ ...say('Hello.'), a: null }), isSame: false },
  { name: 'the operation counts', one: HELLO, other: { ...HELLO, operation: 'ConverseStream' }, isSame: false },
  { name: 'the service counts', one: HELLO, other: { ...HELLO, service: 'bedrock-mantle' }, isSame: false },
  {
    name: 'how a path is percent-encoded does not count',
    one: HELLO,
    other: { ...HELLO, path: HELLO.path.replace('%3A', ':') },
    isSame: true,
  },
  {
    name: 'a slash within a segment is not one between two',
    one: { ...HELLO, path: '/model/a%2Fb/converse' },
    other: { ...HELLO, path: '/model/a/b/converse' },
    isSame: false,
  },
  {
    name: 'the order of a query does not count',
    one: { ...HELLO, query: 'a=1&b=%32' },
    other: { ...HELLO, query: 'b=2&a=1' },
    isSame: true,
  },
  { name: 'a query counts', one: { ...HELLO, query: 'a=1' }, other: { ...HELLO, query: 'a=2' }, isSame: false },
  {
    name: 'a header that is not listed does not count',
    one: HELLO,
    other: { ...HELLO, headers: [['user-agent', 'x']] },
    isSame: true,
  },
  {
    name: 'a listed header counts, in any case and order of its list',
    one: { ...HELLO, headers: [['anthropic-beta', 'a, b']] },
    other: { ...HELLO, headers: [['Anthropic-Beta', 'b,a']] },
    isSame: true,
  },
  {
    name: 'a listed header that is missing is a difference',
    one: { ...HELLO, headers: [['anthropic-beta', 'a']] },
    other: HELLO,
    isSame: false,
  },
  {
    name: 'other headers may be listed in their place',
    one: { ...HELLO, headers: [['x-tenant', 'a']] },
    other: { ...HELLO, headers: [['x-tenant', 'b']] },
    match: { headers: ['X-Tenant'] },
    isSame: false,
  },
  {
    name: 'tokens of the SDK do not count',
    one: converse({ a: 1, clientToken: 'x', clientRequestToken: 'x' }),
    other: converse({ a: 1, clientToken: 'y' }),
    isSame: true,
  },
  {
    name: 'the generated id of a session of an agent does not count',
    one: converse({}, { operation: 'InvokeAgent', path: '/agents/A/agentAliases/B/sessions/1732800000000/text' }),
    other: converse({}, { operation: 'InvokeAgent', path: '/agents/A/agentAliases/B/sessions/1732899999999/text' }),
    isSame: true,
  },
  {
    name: 'the id of a session that somebody chose counts',
    one: converse({}, { operation: 'InvokeAgent', path: '/agents/A/agentAliases/B/sessions/one/text' }),
    other: converse({}, { operation: 'InvokeAgent', path: '/agents/A/agentAliases/B/sessions/two/text' }),
    isSame: false,
  },
  {
    name: 'a text that is no JSON is compared as text',
    one: { ...HELLO, body: bytes('a=1') },
    other: { ...HELLO, body: bytes('a=2') },
    isSame: false,
  },
  {
    name: 'bytes that are no text are compared as bytes',
    one: { ...HELLO, body: Buffer.from([0xff, 1]) },
    other: { ...HELLO, body: Buffer.from([0xff, 2]) },
    isSame: false,
  },
  {
    name: 'JSON that is nested deeper than any request is compared as text',
    one: { ...HELLO, body: bytes('['.repeat(100_000) + ']'.repeat(100_000)) },
    other: { ...HELLO, body: bytes(`${'['.repeat(100_000)} ${']'.repeat(100_000)}`) },
    isSame: false,
  },
  {
    name: 'ignore: what stands at a place does not count',
    one: converse(say('Hello.', { requestMetadata: { run: '1' } })),
    other: HELLO,
    match: { ignore: ['/requestMetadata'] },
    isSame: true,
  },
  {
    name: 'ignore: what a pattern matches does not count',
    one: converse(say('It is 2026-11-27.')),
    other: converse(say('It is 2026-11-28.')),
    match: { ignore: ['/messages/*/content/*/text ~ /\\d{4}-\\d\\d-\\d\\d/'] },
    isSame: true,
  },
  {
    name: 'ignore: what the pattern does not match counts',
    one: converse(say('It is 2026-11-27.')),
    other: converse(say('It was 2026-11-28.')),
    match: { ignore: ['/messages/*/content/*/text ~ /\\d{4}-\\d\\d-\\d\\d/'] },
    isSame: false,
  },
  {
    name: 'ignore: at any depth',
    one: converse({ a: { b: [{ seed: 1 }] }, seed: 2 }),
    other: converse({ a: { b: [{ seed: 3 }] }, seed: 4 }),
    match: { ignore: ['/**/seed'] },
    isSame: true,
  },
  {
    name: 'ignore: in the path',
    one: { ...HELLO, path: '/runtimes/run-1/invocations' },
    other: { ...HELLO, path: '/runtimes/run-2/invocations' },
    match: { ignore: ['path ~ /run-\\d+/'] },
    isSame: true,
  },
  {
    name: 'model: the geography of a profile counts',
    one: { ...HELLO, path: '/model/us.anthropic.claude-haiku-4-5/converse' },
    other: { ...HELLO, path: '/model/eu.anthropic.claude-haiku-4-5/converse' },
    isSame: false,
  },
  {
    name: 'model: unless a rule says otherwise',
    one: { ...HELLO, path: '/model/us.anthropic.claude-haiku-4-5/converse' },
    other: { ...HELLO, path: '/model/anthropic.claude-haiku-4-5/converse' },
    match: { model: 'family' },
    isSame: true,
  },
  {
    name: 'model: in a body too',
    one: converse({ model: 'us.anthropic.claude-haiku-4-5' }),
    other: converse({ model: 'global.anthropic.claude-haiku-4-5' }),
    match: { model: 'family' },
    isSame: true,
  },
  {
    name: 'tools: names alone, of Converse',
    one: converse({ toolConfig: { tools: [tool('find', 'Finds.')] } }),
    other: converse({ toolConfig: { tools: [tool('find', 'Finds it.')] } }),
    match: { tools: 'names' },
    isSame: true,
  },
  {
    name: 'tools: names alone, of OpenAI',
    one: converse({ tools: [openAiTool('Finds.')] }),
    other: converse({ tools: [openAiTool('Finds it.')] }),
    match: { tools: 'names' },
    isSame: true,
  },
  {
    name: 'tools: another name is another tool',
    one: converse({ toolConfig: { tools: [tool('find', 'x')] } }),
    other: converse({ toolConfig: { tools: [tool('search', 'x')] } }),
    match: { tools: 'names' },
    isSame: false,
  },
  {
    name: 'cache points: count',
    one: converse({ system: [{ text: 'a' }, { cachePoint: { type: 'default' } }] }),
    other: converse({ system: [{ text: 'a' }] }),
    isSame: false,
  },
  {
    name: 'cache points: unless a rule says otherwise',
    one: converse({
      system: [{ text: 'a', cache_control: { type: 'ephemeral' } }, { cachePoint: { type: 'default' } }],
    }),
    other: converse({ system: [{ text: 'a' }] }),
    match: { cachePoints: 'ignore' },
    isSame: true,
  },
];

describe('what counts of a request', () => {
  it.each(ROWS)('$name', ({ one, other, match, isSame }) => {
    expect(key(one, match) === key(other, match)).toBe(isSame);
  });

  it('is the same of a recording, however its body is kept', () => {
    const { body, ...request } = recordedOf(HELLO);
    const text = JSON.stringify((body as { json: unknown }).json);
    const base64 = Buffer.from(text).toString('base64');
    const ways = [{ json: JSON.parse(text) as unknown }, { text: ` ${text}` }, { base64 }, { blob: '4be1.bin' }];
    for (const way of ways) {
      const canonical = canonicalizeRecorded({ ...request, body: way }, DEFAULT_RULES, () => Buffer.from(text));
      expect(keyOf(canonical)).toBe(key(HELLO));
    }
    expect(keyOf(canonicalizeRecorded({ ...request, body: { blob: 'gone' } }, DEFAULT_RULES))).not.toBe(key(HELLO));
  });

  it('knows the model of a request, in path or body', () => {
    const named = [HELLO, converse({ model: 'a.b' }, { path: '/v1/messages' }), converse({}, { path: '/guardrails' })];
    expect(named.map((request) => modelOf(canonicalize(request, DEFAULT_RULES)))).toEqual([
      'anthropic.claude-haiku-4-5-20251001-v1:0',
      'a.b',
      undefined,
    ]);
  });

  it('ends a pattern that takes for ever, and says which one it is', () => {
    const match = { ignore: ['/messages/*/content/*/text ~ /(a+)+$/'] };
    expect(() => key(converse(say(`${'a'.repeat(50)}!`)), match)).toThrow(
      'A pattern of cassette.json takes too long: "(a+)+$".',
    );
  });
});

describe('the rules of cassette.json', () => {
  it.each([
    [{ match: { ignore: ['messages'] } }, 'No place of a request: "messages".'],
    [{ match: { ignore: ['/a ~ /(/'] } }, 'No regular expression: "(".'],
    [{ match: { model: 'any' } }, '`model` may be exact or family, not "any".'],
    [{ match: { modle: 'exact' } }, '`match` knows no "modle"'],
    [{ match: { headers: ['authorization'] } }, '"authorization" is no header that can count.'],
    [{ scrub: Array(51).fill('/a') }, '`scrub` is no list of at most 50 places.'],
    [[], 'It is no JSON object.'],
  ])('refuses %j', (json, message) => expect(() => parseRules(json)).toThrow(message));

  it('has those of a cassette that says nothing', () => expect(parseRules({})).toEqual(DEFAULT_RULES));
});
