import { describe, expect, it } from 'vitest';
import { createDeck, type Deck, parseCassetteScope } from '../../src/cassette/deck.ts';
import { describeMiss, explainMiss, type Miss, missError, missToJson } from '../../src/cassette/miss.ts';
import type { MatchableRequest, NamedRecording } from '../../src/cassette/recording.ts';
import { DEFAULT_RULES, parseRules } from '../../src/cassette/rules.ts';
import { createRandom } from '../helpers/random.ts';
import { converse, recording, say } from './requests.ts';

const HELLO = converse(say('Hello.'));

function deckOf(recordings: readonly NamedRecording[], match: object = {}): Deck {
  return createDeck(recordings, parseRules({ match }));
}

const nameOf = (deck: Deck, request: MatchableRequest, scope?: string): string | undefined => {
  const taken = deck.take(request, scope);
  return 'name' in taken ? taken.name : undefined;
};

function missOf(deck: Deck, request: MatchableRequest, scope?: string): Miss {
  const taken = deck.take(request, scope);
  if (!('miss' in taken)) throw new Error(`found ${taken.name}`);
  return taken.miss;
}

describe('the order of equal requests', () => {
  it.each([
    ['last', ['1', '2', '2', '2']],
    ['cycle', ['1', '2', '1', '2']],
    ['never', ['1', '2', undefined, undefined]],
  ])('plays them in turn, and then, with %s, %j', (repeat, names) => {
    const deck = deckOf([recording('1', HELLO), recording('2', HELLO)], { repeat });
    expect(names.map(() => nameOf(deck, HELLO))).toEqual(names);
  });

  it('is not disturbed by other requests in between, in whatever order tests run in parallel', () => {
    const tests = ['a', 'b', 'c', 'd'].map((name) => ({
      request: converse(say(name)),
      names: [1, 2, 3].map((turn) => `${name}${turn}`),
    }));
    const recordings = tests.flatMap(({ request, names }) => names.map((name) => recording(name, request)));
    for (let seed = 0; seed < 100; seed += 1) {
      const random = createRandom(seed);
      const deck = deckOf(recordings, { repeat: 'never' });
      const left = tests.map(({ request, names }) => ({ request, names: [...names] }));
      while (left.some(({ names }) => names.length > 0)) {
        const { request, names } = left[Math.floor(random() * left.length)] ?? left[0]!;
        if (names.length > 0) expect(nameOf(deck, request)).toBe(names.shift());
      }
      expect(deck.unused()).toEqual([]);
    }
  });

  it('compares a request that has none with the others only if somebody asks why', () => {
    const name = `${'0'.repeat(64)}.bin`;
    let reads = 0;
    const one = recording('1', HELLO);
    const request = { ...one.recording.request, body: { blob: name } };
    const deck = createDeck([{ name: '1', recording: { ...one.recording, request } }], DEFAULT_RULES, () => {
      reads += 1;
      return Buffer.from('Hello.');
    });
    reads = 0;
    const taken = deck.take(HELLO);
    expect([reads, 'miss' in taken]).toEqual([0, true]);
    const miss = 'miss' in taken ? taken.miss : undefined;
    expect(reads).toBeGreaterThan(0);
    expect(miss).toBe('miss' in taken ? taken.miss : undefined);
  });

  it('tells what was not played', () => {
    const deck = deckOf([recording('1', HELLO), recording('2', HELLO), recording('3', converse(say('Bye.')))]);
    nameOf(deck, HELLO);
    expect(deck.unused()).toEqual(['2', '3']);
  });

  it('counts what was recorded in this run as played', () => {
    const deck = deckOf([]);
    deck.add(recording('1', HELLO));
    expect(deck.unused()).toEqual([]);
    expect(nameOf(deck, HELLO)).toBe('1');
  });
});

const scoped = (): Deck =>
  deckOf([recording('one/1', HELLO), recording('two/1', HELLO), recording('one/deep/1', HELLO)]);

describe('sub-directories', () => {
  it('gives each test its own responses for the same request', () => {
    const shared = scoped();
    expect(['one', 'two', 'one/deep'].map((scope) => nameOf(shared, HELLO, scope))).toEqual([
      'one/1',
      'two/1',
      'one/deep/1',
    ]);
  });

  it('looks into none without being asked, and says which one has it', () => {
    expect(describeMiss(missOf(scoped(), HELLO))).toBe(
      'No recording for Converse anthropic.claude-haiku-4-5-20251001-v1:0; ' +
        'its sub-directory one (x-bedrock-proxy-cassette) has one.',
    );
  });

  it.each(['..', '../x', 'a/../b', '/etc', 'a//b', 'a/', '.git', 'a\\b', '', 'a b', 'x'.repeat(101), 'a..b', 'C:x'])(
    'refuses the name %j',
    (name) => expect(() => parseCassetteScope(name)).toThrow('names no sub-directory'),
  );

  it.each(['one', 'one/two', 'refuses-a-refund', 'A.1_b'])('takes the name %j', (name) =>
    expect(parseCassetteScope(name)).toBe(name),
  );
});

const tools = (description: string): object => ({
  toolConfig: { tools: [{ toolSpec: { name: 'find', description, inputSchema: { json: {} } } }] },
});
const OTHER_PATH = HELLO.path.replace('haiku', 'sonnet');
const AKIA = `AKIA${'Q7RT2MZX4KWN5PLB'}`;

/** What was recorded, what is asked, and the rules: what is said of it stands in the snapshots. */
const MISSES: readonly { name: string; recorded: MatchableRequest; asked: MatchableRequest; match?: object }[] = [
  { name: 'a date', recorded: converse(say('Today is 2026-11-26.')), asked: converse(say('Today is 2026-11-27.')) },
  {
    name: 'a time within a long text',
    recorded: converse(say(`${'Before. '.repeat(20)}At 2026-11-26T10:00:00Z.${' After.'.repeat(20)}`)),
    asked: converse(say(`${'Before. '.repeat(20)}At 2026-11-27T09:30:00.5Z.${' After.'.repeat(20)}`)),
  },
  {
    name: 'a temporary folder and a port',
    recorded: converse(say('Read /tmp/a1/x.', { system: [{ text: 'localhost:4000' }] })),
    asked: converse(say('Read /tmp/b2/x.', { system: [{ text: 'localhost:4111' }] })),
  },
  { name: 'another text', recorded: converse(say('Say hello.')), asked: converse(say('Say good-bye.')) },
  { name: 'a character of four bytes', recorded: converse(say('Ä 😀')), asked: converse(say('Ä 😁')) },
  {
    name: 'a number and a missing member',
    recorded: converse(say('Hello.', { inferenceConfig: { maxTokens: 10, temperature: 0 } })),
    asked: converse(say('Hello.', { inferenceConfig: { maxTokens: 20 } })),
  },
  {
    name: 'an id in its metadata',
    recorded: converse(say('Hello.', { requestMetadata: { runId: 'blue' } })),
    asked: converse(say('Hello.', { requestMetadata: { runId: 'green' } })),
  },
  {
    name: 'a further turn',
    recorded: HELLO,
    asked: converse({ messages: [...(say('Hello.') as { messages: object[] }).messages, { role: 'assistant' }] }),
  },
  { name: 'another model', recorded: HELLO, asked: { ...HELLO, path: OTHER_PATH } },
  {
    name: 'the geography of a profile',
    recorded: { ...HELLO, path: '/model/us.anthropic.claude-haiku-4-5/converse' },
    asked: { ...HELLO, path: '/model/eu.anthropic.claude-haiku-4-5/converse' },
  },
  {
    name: 'what a tool says of itself, and a date',
    recorded: converse(say('Today is 2026-11-26.', tools('Finds.'))),
    asked: converse(say('Today is 2026-11-27.', tools('Finds it.'))),
  },
  {
    name: 'a cache point',
    recorded: HELLO,
    asked: converse(say('Hello.', { system: [{ text: 'a' }, { cachePoint: { type: 'default' } }] })),
  },
  { name: 'a header', recorded: HELLO, asked: { ...HELLO, headers: [['anthropic-beta', 'new']] } },
  { name: 'a secret', recorded: converse(say('Use a key.')), asked: converse(say(`Use ${AKIA} now.`)) },
  {
    name: 'controls of a terminal',
    recorded: converse(say('Hello.')),
    asked: converse(say('Hello.\u001B[2J\u202E'), { path: '/model/x%1b%5b2J/converse' }),
  },
  { name: 'another operation', recorded: { ...HELLO, operation: 'InvokeModel' }, asked: HELLO },
  { name: 'one that is used up', recorded: HELLO, asked: HELLO, match: { repeat: 'never' } },
];

const near = (text: string, changes: object = {}): MatchableRequest => converse(say('Hello.', { text }), changes);
const long = (letter: string): MatchableRequest => converse(say(letter.repeat(1_000_000)));
const slow = (end: string): MatchableRequest =>
  converse(say(`${'eyJ-'.repeat(250_000)}${'a@a.'.repeat(250_000)}${end}`));

describe('a miss', () => {
  it.each(MISSES)('explains $name', ({ recorded, asked, match = {} }) => {
    const deck = deckOf([recording('001-converse-9f31c0', recorded)], match);
    if ('repeat' in match) nameOf(deck, asked);
    const miss = missOf(deck, asked);
    const error = missError(miss);
    expect([error.message, error.hint ?? '', '', explainMiss(miss)].join('\n')).toMatchSnapshot();
    expect(error).toMatchObject({ code: 'ERR_CASSETTE_MISS', status: 404, awsType: 'CassetteMissException' });
    expect(JSON.stringify([explainMiss(miss), missToJson(miss, 0)])).not.toContain(AKIA);
    expect(`${error.message}${error.hint ?? ''}`).not.toMatch(/\p{C}/u);
  });

  it('proposes only rules with which the request is found', () => {
    const proposed = MISSES.filter(({ match }) => match === undefined).map(({ recorded, asked }) => {
      const { nearest } = missOf(deckOf([recording('1', recorded)]), asked);
      const suggestion = nearest[0]?.suggestion;
      if (suggestion === undefined) return 0;
      expect(nameOf(deckOf([recording('1', recorded)], suggestion), asked)).toBe('1');
      return 1;
    });
    expect(proposed.filter((count) => count === 1).length).toBeGreaterThan(5);
  });

  it('names the nearest three of the same operation, those of the same model first', () => {
    const deck = deckOf([
      recording('other-operation', { ...HELLO, operation: 'ConverseStream' }),
      recording('other-model', near('same', { path: OTHER_PATH })),
      recording('far', converse({ messages: [] })),
      recording('near', near('other')),
      recording('nearer', near('other', { query: '' })),
    ]);
    const { nearest } = missOf(deck, near('same'));
    expect(nearest.map(({ file }) => file)).toEqual(['near.json', 'nearer.json', 'far.json']);
  });

  it('has nothing to say of an empty cassette', () => {
    expect(describeMiss(missOf(createDeck([], DEFAULT_RULES), HELLO))).toMatch(/, and none that is near\.$/);
  });

  it('proposes no rule that nobody could paste, and does not fail over it', () => {
    for (const name of ['x'.repeat(5_000), '\u202Eid', 'a ~ /b/', 'id = x', '/~']) {
      const asked = (value: string): MatchableRequest => converse({ [name]: { runId: value } });
      const miss = missOf(deckOf([recording('1', asked('2026-11-27'))]), asked('2026-11-28'));
      expect(`${explainMiss(miss)}${missError(miss).hint ?? ''}`.replaceAll('\n', '')).not.toMatch(/\p{C}/u);
      expect(explainMiss(miss).length).toBeLessThan(2_000);
    }
  });

  it('is quick, however a request is made to be slow', () => {
    const startedMs = performance.now();
    explainMiss(missOf(deckOf([recording('1', slow('1'))]), slow('2')));
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it('is short, however long the requests are', () => {
    const miss = missOf(deckOf([recording('1', long('a'))]), long('b'));
    expect(JSON.stringify([explainMiss(miss), missToJson(miss, 0)]).length).toBeLessThan(2_000);
  });
});
