import { expect, it } from 'vitest';
import { isNetwork, networkCheck } from '../../src/lib/networks.ts';

it.each([
  ['10.0.0.7', true],
  ['10.0.0.0/8', true],
  ['0.0.0.0/0', true],
  ['fd00::/8', true],
  ['::1', true],
  ['10.0.0.0/33', false],
  ['fd00::/129', false],
  ['10.0.0.0/', false],
  ['10.0.0.0/8/8', false],
  ['10.0.0.0/-1', false],
  ['example.com', false],
  ['', false],
])('%s is a network: %s', (text, expected) => {
  expect(isNetwork(text)).toBe(expected);
});

it('finds addresses in networks of either family, and text that is no address in none', () => {
  const isIn = networkCheck(['10.0.0.0/8', '192.0.2.7', 'fd00::/8']);
  const inside = ['10.255.0.1', '::ffff:10.1.2.3', '192.0.2.7', 'fd12::1'];
  const outside = ['11.0.0.1', '192.0.2.8', 'fe80::1', '::ffff:11.0.0.1', 'unknown', ''];
  expect([...inside, ...outside].filter(isIn)).toEqual(inside);
  expect(networkCheck([])('10.0.0.1')).toBe(false);
});
