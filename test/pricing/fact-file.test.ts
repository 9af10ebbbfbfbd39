import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkFactFile, formatFactFile, indexFacts, makeFactFile, openFactFile } from '../../src/pricing/fact-file.ts';
import type { PriceFact } from '../../src/pricing/price-fact.ts';

const SOURCE = { teller: 'litellm', title: 'a list', asOf: '2026-11-28' } as const;
const NOVA: PriceFact = {
  model: 'amazon.nova-pro-v1:0',
  place: 'us-east-1',
  scope: 'region',
  tier: 'standard',
  aboveTokens: 0,
  unit: 'input',
  picoUsd: 800_000,
  source: 'litellm',
  asOf: '2026-11-28',
};

const write = (facts: readonly PriceFact[]): string => formatFactFile(makeFactFile(SOURCE, facts, new Map()));

function readAll(text: string): PriceFact[] {
  const file = openFactFile(text);
  return file.models.flatMap(file.readFacts);
}

const sorted = (facts: readonly PriceFact[]): string[] =>
  [...new Set(facts.map((fact) => JSON.stringify(Object.entries(fact).toSorted())))].toSorted();

const anyFact: fc.Arbitrary<PriceFact> = fc.record({
  model: fc.constantFrom('amazon.nova-pro-v1:0', 'meta.llama3-8b-instruct-v1:0', 'guardrails'),
  place: fc.constantFrom('*', 'us-east-1', 'eu-west-2', 'us-gov-west-1', 'eu', 'apac'),
  scope: fc.constantFrom('region', 'geo', 'global'),
  tier: fc.constantFrom('standard', 'flex', 'priority', 'batch', 'optimized', 'reserved'),
  aboveTokens: fc.constantFrom(0, 200_000, 272_000),
  unit: fc.constantFrom('input', 'output', 'cacheWrite1h', 'videoSeconds', 'request', 'contentFilter.textUnits'),
  picoUsd: fc.nat(),
  source: fc.constant('litellm'),
  asOf: fc.constant('2026-11-28'),
});
const anyImage: fc.Arbitrary<PriceFact> = fc
  .record({
    fact: anyFact,
    quality: fc.constantFrom('standard', 'premium'),
    maxSide: fc.nat(5000),
    maxSteps: fc.nat(500),
  })
  .map(({ fact, ...limits }) => ({ ...fact, aboveTokens: 0, unit: 'image', limits }));
const keyOf = (fact: PriceFact): string => JSON.stringify({ ...fact, picoUsd: 0 });

describe('a file of facts', () => {
  it('has each fact once, whatever the facts and their order', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.oneof(anyFact, anyImage), { selector: keyOf, maxLength: 40 }), (facts) => {
        const text = write(facts);
        expect(sorted(readAll(text))).toEqual(sorted(facts));
        expect(write(facts.toReversed())).toBe(text);
        expect(formatFactFile(openFactFile(text))).toBe(text);
      }),
    );
  });

  it('has a line for the places that share their prices', () => {
    const text = write(['us-west-2', 'us-east-1'].map((place) => ({ ...NOVA, place })));
    expect(text.split('\n').filter((line) => line.includes('800000'))).toEqual([
      '  "us-east-1 us-west-2 / region / standard": { "input": 800000 } } }',
    ]);
  });

  it('keeps windows, and the day of a model that is not that of the file', () => {
    const facts = [{ ...NOVA, asOf: '2026-04-08' }];
    const windows = new Map([[NOVA.model, { contextTokens: 300_000 }]]);
    const file = openFactFile(formatFactFile(makeFactFile(SOURCE, facts, windows)));
    expect(file.readFacts(NOVA.model)).toEqual(facts);
    expect(file.readWindow(NOVA.model)).toEqual({ contextTokens: 300_000 });
  });

  it.each([
    { name: 'no JSON', text: '{' },
    { name: 'no models', text: '{"teller":"aws","title":"","asOf":"2026-01-01"}' },
    { name: 'a teller that nobody knows', text: '{"teller":"me","title":"","asOf":"2026-01-01","models":{}}' },
    { name: 'no day', text: '{"teller":"aws","title":"","asOf":"soon","models":{}}' },
  ])('refuses $name', ({ text }) => {
    expect(() => openFactFile(text)).toThrow(/^it /);
  });

  it.each([
    { name: 'a model that is a list', entry: [] },
    { name: 'a scope that nobody knows', entry: { prices: { 'us-east-1 / here / standard': { input: 1 } } } },
    { name: 'a tier that nobody knows', entry: { prices: { 'us-east-1 / region / best': { input: 1 } } } },
    { name: 'a row without a tier', entry: { prices: { 'us-east-1': { input: 1 } } } },
    { name: 'a negative price', entry: { prices: { '* / region / flex': { input: -1 } } } },
    { name: 'a price that is text', entry: { prices: { '* / region / flex': { input: '1' } } } },
    { name: 'a fraction of a pico-dollar', entry: { prices: { '* / region / flex': { input: 0.5 } } } },
    { name: 'a step that is none', entry: { prices: { '* / region / flex': { 'input>many': 1 } } } },
    { name: 'a place that is none', entry: { prices: { 'Ohio / region / flex': { input: 1 } } } },
    { name: 'a window that is none', entry: { prices: {}, window: [-1, null] } },
  ])('finds $name when it is checked', ({ entry }) => {
    const file = openFactFile(JSON.stringify({ ...SOURCE, models: { 'a.b': entry } }));
    expect(() => checkFactFile(file)).toThrow(/^it has /);
  });
});

describe('the facts of several files', () => {
  const aws = makeFactFile({ ...SOURCE, teller: 'aws' }, [{ ...NOVA, picoUsd: 1, source: 'aws' }], new Map());
  const other = makeFactFile(SOURCE, [{ ...NOVA, model: 'amazon.nova-pro' }], new Map([['amazon.nova-pro', {}]]));
  const facts = indexFacts([aws, other]);

  it('finds those of a model in each, the more trusted first, by the name that each has for it', () => {
    expect(facts.find('eu.amazon.nova-pro-v1:0').map(({ source }) => source)).toEqual(['aws', 'litellm']);
    expect(facts.find('global.amazon.nova-pro').map(({ source }) => source)).toEqual(['aws', 'litellm']);
  });

  it.each(['amazon.nova-lite-v1:0', 'amazon.nova-pro-v2:0', '', '__proto__', 'constructor'])(
    'has none of what it does not know: %o',
    (name) => {
      expect(facts.find(name)).toEqual([]);
      expect(facts.findWindow(name)).toEqual({});
    },
  );
});
