import { describe, expect, it } from 'vitest';
import {
  findDateMs,
  formatDuration,
  parseBudgetUsd,
  parseDurationMs,
  parseExpiry,
  parseLimit,
  parseModelPatterns,
  parseNote,
  parseRegionPatterns,
  parseScope,
  parseTags,
} from '../../src/keys/policy.ts';
import { failureOf } from '../helpers/failure.ts';

const NOW_MS = Date.parse('2026-07-01T12:00:00Z');
const DAY_MS = 86_400_000;
type Parser = (value: unknown, field: string, code: 'ERR_BAD_OPTION' | 'ERR_BAD_REQUEST') => unknown;

const read = (parse: Parser, value: unknown): unknown => parse(value, '--flag', 'ERR_BAD_OPTION');

async function expectRefusal(parse: Parser, value: unknown): Promise<string> {
  const error = await failureOf(() => parse(value, 'field_name', 'ERR_BAD_REQUEST'));
  expect([error.code, error.message.slice(0, 16)]).toEqual(['ERR_BAD_REQUEST', 'field_name must ']);
  expect(error.message).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  return error.message;
}

describe('a duration', () => {
  it.each([
    ['45s', 45_000],
    ['90m', 5_400_000],
    ['12h', 43_200_000],
    ['24H', DAY_MS],
    ['30d', 30 * DAY_MS],
    ['2w', 14 * DAY_MS],
    ['1mo', 30 * DAY_MS],
    [' 7 d ', 7 * DAY_MS],
    ['36500d', 36_500 * DAY_MS],
  ])('reads the duration %s as %i ms', (text, ms) => {
    expect(read(parseDurationMs, text)).toBe(ms);
  });

  it.each([
    '',
    '7',
    'd',
    '0s',
    '-1d',
    '1.5h',
    '1y',
    '1M',
    '1MO',
    '36501d',
    '9999999999s',
    '1d2h',
    7,
    null,
    undefined,
    ['1d'],
  ])('refuses the duration %j', async (value) => {
    await expectRefusal(parseDurationMs, value);
  });

  it.each(['45s', '90m', '5h', '7d', '30d', '61s', '36500d'])('writes the duration %s as it is read', (text) => {
    expect(formatDuration(parseDurationMs(text, '--flag', 'ERR_BAD_OPTION'))).toBe(text);
  });

  it.each([
    [120_000, '2m'],
    [DAY_MS, '1d'],
    [3_600_000 * 25, '25h'],
    [1_500, '1s'],
  ])('writes %i ms as the duration %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});

describe('an expiry', () => {
  const parse: Parser = (value, field, code) => parseExpiry(value, field, code, NOW_MS);

  it.each([
    ['30d', NOW_MS + 30 * DAY_MS],
    ['45s', NOW_MS + 45_000],
    ['2026-12-31', Date.parse('2027-01-01T00:00:00Z')],
    // The day of today is not over.
    ['2026-07-01', Date.parse('2026-07-02T00:00:00Z')],
    ['2028-02-29', Date.parse('2028-03-01T00:00:00Z')],
    ['2026-12-31T18:00:00Z', Date.parse('2026-12-31T18:00:00Z')],
    ['2026-12-31t18:00z', Date.parse('2026-12-31T18:00:00Z')],
    ['2026-12-31T18:00:00.250+02:00', Date.parse('2026-12-31T16:00:00.250Z')],
    ['2026-12-31T18:00-0530', Date.parse('2026-12-31T23:30:00Z')],
  ])('reads the expiry %s', (text, ms) => {
    expect(read(parse, text)).toBe(ms);
  });

  it.each(['2026-06-30', '2026-07-01T11:59:59Z', '2026-07-01T12:00:00Z', '1999-01-01', '0s'])(
    'refuses the expiry %s, which is past',
    async (text) => {
      expect(await expectRefusal(parse, text)).toContain('must lie in the future');
    },
  );

  it.each([
    '',
    'never',
    'tomorrow',
    '2026-02-30',
    '2026-13-01',
    '2027-02-29',
    '2026-12-31T18:00:00',
    '2026-12-31 18:00Z',
    '2026-12-31T25:00:00Z',
    '12/31/2026',
    '1798761600000',
    '2026-12-31\u202e',
    1_798_761_600_000,
    null,
  ])('refuses the expiry %j', async (value) => {
    expect(await expectRefusal(parse, value)).toContain('a date such as 2030-12-31');
  });

  it('begins a day at its first moment on request', () => {
    expect(findDateMs('2026-07-01', 'start')).toBe(Date.parse('2026-07-01T00:00:00Z'));
    expect(findDateMs('2026-07-01', 'end')).toBe(Date.parse('2026-07-02T00:00:00Z'));
  });
});

describe('a budget', () => {
  it.each<[unknown, number]>([
    ['25', 25e9],
    ['25.50', 25_500_000_000],
    ['$25', 25e9],
    ['$0.000000001', 1],
    ['0.1', 100_000_000],
    ['1.000000007', 1_000_000_007],
    ['999999.999999999', 999_999_999_999_999],
    ['1000000', 1e15],
    ['0', 0],
    [25.1, 25_100_000_000],
    [0.1 + 0.2, 300_000_000],
    [1e-7, 100],
    [999_999.99, 999_999_990_000_000],
    [0, 0],
  ])('reads the budget %j as %i nano-dollars', (value, nano) => {
    expect(read(parseBudgetUsd, value)).toBe(nano);
  });

  it.each([
    '',
    '-1',
    '1000000.000000001',
    '1000001',
    '1e3',
    '1,000',
    '25.',
    '.5',
    '0.0000000001',
    '$',
    'none',
    'NaN',
    -0.5,
    1e21,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    null,
    true,
    [25],
  ])('refuses the budget %j', async (value) => {
    await expectRefusal(parseBudgetUsd, value);
  });
});

describe('patterns', () => {
  it.each<[unknown, string[]]>([
    ['*claude*', ['*claude*']],
    ['a.b, c.*', ['a.b', 'c.*']],
    [
      ['a', 'b,c', 'a'],
      ['a', 'b', 'c'],
    ],
    [[], []],
    [['a', '*'], []],
    ['**', []],
    ['Anthropic.Claude', ['Anthropic.Claude']],
    ['arn:aws:bedrock:*:*:application-inference-profile/x', ['arn:aws:bedrock:*:*:application-inference-profile/x']],
    ['x'.repeat(2_048), ['x'.repeat(2_048)]],
  ])('reads the patterns of models %j as %j', (value, patterns) => {
    expect(read(parseModelPatterns, value)).toEqual(patterns);
  });

  it.each([
    '',
    ',',
    'a,',
    ['a', ''],
    'two words',
    'a\nb',
    'a\u001b[31m',
    'a\u202eb',
    'x'.repeat(2_049),
    Array.from({ length: 201 }, (_, index) => `m${index}`),
    7,
    null,
    {},
    [7],
  ])('refuses the patterns of models %j', async (value) => {
    await expectRefusal(parseModelPatterns, value);
  });

  it.each<[unknown, string[]]>([
    ['us-east-1', ['us-east-1']],
    [
      ['EU-*', 'us-gov-west-1'],
      ['eu-*', 'us-gov-west-1'],
    ],
    ['*', []],
  ])('reads the patterns of regions %j as %j', (value, patterns) => {
    expect(read(parseRegionPatterns, value)).toEqual(patterns);
  });

  it.each(['', 'us east', 'us_east_1', 'us-east-1;', 'é', ['us-east-1', null]])(
    'refuses the patterns of regions %j',
    async (value) => {
      await expectRefusal(parseRegionPatterns, value);
    },
  );
});

it.each(['inference', 'default', 'all'])('takes the scope %s', (scope) => expect(read(parseScope, scope)).toBe(scope));

it.each(['', 'ALL', 'everything', true, null])('refuses the scope %j', async (value) => {
  await expectRefusal(parseScope, value);
});

describe('a limit', () => {
  it.each<[unknown, number]>([
    ['1', 1],
    ['60', 60],
    [60, 60],
    ['1000000000', 1e9],
  ])('reads the limit %j as %i', (value, limit) => {
    expect(read(parseLimit, value)).toBe(limit);
  });

  it.each(['', '0', '-1', '1.5', '1e3', '1000000001', '0x10', 0, 1.5, -3, Number.NaN, 1e10, null, true, [1]])(
    'refuses the limit %j',
    async (value) => {
      await expectRefusal(parseLimit, value);
    },
  );
});

describe('tags', () => {
  it.each<[unknown, Record<string, string>]>([
    ['team=search', { team: 'search' }],
    [['team=search', 'a/b.c:d-e_1=x=y, z'], { team: 'search', 'a/b.c:d-e_1': 'x=y, z' }],
    [['prod', 'prod2='], { prod: '', prod2: '' }],
    [{ team: 'search' }, { team: 'search' }],
    [{}, {}],
    [['a=1', 'a=2'], { a: '2' }],
  ])('reads the tags %j as %j', (value, tags) => {
    expect(read(parseTags, value)).toEqual(tags);
  });

  it('takes tags that are called like a part of every object', () => {
    const tags = read(parseTags, ['__proto__=x', 'constructor=y']) as object;
    expect(Object.entries(tags)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    expect(Object.getPrototypeOf(tags)).toBe(Object.prototype);
  });

  it.each([
    '=x',
    'a b=c',
    'ä=b',
    `${'x'.repeat(129)}=1`,
    `a=${'x'.repeat(257)}`,
    'a=b\nc',
    'a=\u202e',
    { a: 1 },
    { '': 'x' },
    [7, 'a b'],
    7,
    null,
    Array.from({ length: 51 }, (_, index) => `t${index}=1`),
  ])('refuses the tags %j', async (value) => {
    await expectRefusal(parseTags, value);
  });
});

describe('a note', () => {
  it.each([
    ['for the CI', 'for the CI'],
    [' Zoë’s key ', 'Zoë’s key'],
    ['x'.repeat(1_000), 'x'.repeat(1_000)],
  ])('takes the note %j', (text, note) => expect(read(parseNote, text)).toBe(note));

  it.each(['', '  ', 'a\nb', 'a\tb', 'x\u0000', 'x\u2028y', 'x'.repeat(1_001), 7, null])(
    'refuses the note %j',
    async (value) => {
      await expectRefusal(parseNote, value);
    },
  );
});
