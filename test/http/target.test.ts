import { expect, it } from 'vitest';
import { joinTarget, parseTarget, splitQuery } from '../../src/http/target.ts';

it.each([
  { raw: '/a', path: '/a', query: undefined },
  { raw: '/a?', path: '/a', query: '' },
  { raw: '/a?b?c=%2F', path: '/a', query: 'b?c=%2F' },
  { raw: '?x', path: '', query: 'x' },
  { raw: '', path: '', query: undefined },
])('splits $raw at its first question mark and puts it together again', ({ raw, path, query }) => {
  expect(parseTarget(raw)).toEqual({ raw, path, query });
  expect(joinTarget(path, query).raw).toBe(raw);
});

it.each([
  { query: '', pairs: [] },
  {
    query: 'a=b&&c',
    pairs: [
      ['a', 'b'],
      ['c', undefined],
    ],
  },
  {
    query: '=b&a=&a=c=d',
    pairs: [
      ['', 'b'],
      ['a', ''],
      ['a', 'c=d'],
    ],
  },
  { query: '%41=+%zz', pairs: [['%41', '+%zz']] },
])('splits the query $query into pairs, and decodes nothing', ({ query, pairs }) => {
  expect(splitQuery(query)).toEqual(pairs);
});
