/** The syntax of filters: what is read as what, what is refused in which words, and that printing loses nothing. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Filter, parseFilter, printFilter } from '../../src/filter/syntax.ts';

/** Without positions, which printing does not keep. */
function bare(filter: Filter): unknown {
  if (filter.kind === 'term') return { field: filter.field, value: filter.value };
  return filter.kind === 'not' ? { not: bare(filter.of) } : { [filter.kind]: filter.of.map(bare) };
}

function read(text: string): Filter {
  const filter = parseFilter(text);
  if ('problem' in filter) throw new Error(filter.problem);
  return filter;
}

describe('what is read', () => {
  it.each([
    { text: 'haiku', printed: 'haiku' },
    { text: '  model:*haiku*   status:4xx ', printed: 'model:*haiku* status:4xx' },
    { text: 'a b | c', printed: 'a b | c' },
    { text: 'a (b | c)', printed: 'a (b | c)' },
    { text: '-is:stream', printed: '-is:stream' },
    { text: '!is:stream', printed: '-is:stream' },
    { text: '-(a | b)', printed: '-(a | b)' },
    { text: '((a))', printed: 'a' },
    { text: 'key:"my \\"big\\" laptop"', printed: 'key:"my \\"big\\" laptop"' },
    { text: 'error:/^Thr(o|ö)ttl/i', printed: 'error:/^Thr(o|ö)ttl/i' },
    { text: 'error:/a\\/b/', printed: 'error:/a\\/b/' },
    { text: '/bedrock/model', printed: '/bedrock/ model' },
    { text: 'claude-v1:0', printed: 'claude-v1:0' },
    { text: '', printed: '' },
  ])('$text', ({ text, printed }) => {
    expect(printFilter(read(text))).toBe(printed);
  });
});

describe('what is refused', () => {
  it.each([
    { text: '(a', says: 'A parenthesis is not closed.' },
    { text: 'a)', says: 'A parenthesis closes at character 2 that none opened.' },
    { text: '()', says: 'Parentheses have nothing between them.' },
    { text: 'a |', says: 'Something is missing beside a |.' },
    { text: '| a', says: 'Something is missing beside a |.' },
    { text: 'a -', says: 'Nothing follows the - at character 4.' },
    { text: 'key:', says: 'key: at character 5 has no value.' },
    { text: 'key:"a', says: 'The " at character 5 has no other one.' },
    { text: 'key:/[/', says: 'The regular expression at character 5 is not one.' },
    { text: '('.repeat(60), says: 'It is nested deeper than 50 times.' },
    { text: 'a'.repeat(3000), says: 'It has more than 2000 characters.' },
  ])('$text', ({ text, says }) => {
    expect(parseFilter(text)).toMatchObject({ problem: says });
  });
});

const word = fc.stringMatching(/^[a-z0-9*.>][a-z0-9*.>]{0,8}$/);
const term: fc.Arbitrary<Filter> = fc.record({
  kind: fc.constant('term' as const),
  field: fc.option(fc.stringMatching(/^[a-z]{1,6}$/), { nil: undefined }),
  value: fc.oneof(
    word.map((text) => ({ kind: 'glob' as const, text })),
    fc.string().map((text) => ({ kind: 'exact' as const, text })),
    fc.record({
      kind: fc.constant('regex' as const),
      source: fc.stringMatching(/^[a-z.][a-z.+]{0,5}$/).filter((source) => !source.includes('++')),
      ignoresCase: fc.boolean(),
    }),
  ),
  at: fc.constant(0),
});
const { filter } = fc.letrec<{ filter: Filter; parts: Filter[] }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    term,
    fc.record({ kind: fc.constant('not' as const), of: tie('filter') }),
    fc.record({ kind: fc.constantFrom('and' as const, 'or' as const), of: tie('parts') }),
  ),
  parts: fc.array(tie('filter'), { minLength: 2, maxLength: 3 }),
}));

it('reads what it prints as the same filter', () => {
  fc.assert(
    fc.property(filter, (tree) => {
      const printed = printFilter(tree);
      fc.pre(printed.length <= 2000);
      expect(bare(read(printed))).toEqual(bare(tree));
    }),
  );
});

it('reads any text without a throw', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => void parseFilter(text)));
  fc.assert(fc.property(fc.stringMatching(/^[a:"/\\|()!\- *.>]{0,40}$/), (text) => void parseFilter(text)));
});
