import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { withoutGeography } from '../../src/domain/model-name.ts';
import { checkFactFile, formatFactFile, openFactFile } from '../../src/pricing/fact-file.ts';
import type { FactUnit, PriceFact } from '../../src/pricing/price-fact.ts';
import { readSnapshot } from '../../src/pricing/snapshot.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const snapshot = readSnapshot();
/** Every name that a source knows, a geography or a region before it. */
const NAMES = JSON.parse(readFileSync(`${ROOT}prices/names.json`, 'utf8')) as string[];

/** A name without a price, and why. */
const EXCEPTIONS: Readonly<Record<string, string>> = {};

const isGov = (place: string): boolean => place.startsWith('us-gov');

/** The facts that a call by this name finds: those of its region, its geography, or of commercial regions. */
function findByName(name: string): readonly PriceFact[] {
  const [, region, id = name] = /^([a-z]{2}(?:-gov)?-[a-z]+-\d)\/(.*)/.exec(name) ?? [];
  const model = withoutGeography(id);
  const geography = id === model ? undefined : id.slice(0, -model.length - 1);
  return snapshot.find(model).filter(({ place, scope, tier }) => {
    if (tier !== 'standard') return false;
    if (region !== undefined) return scope === 'region' && place === region;
    if (geography === undefined) return scope === 'region' && !isGov(place);
    if (geography === 'global') return scope === 'global';
    return scope === 'geo' && (place === geography || (geography !== 'us-gov' && !isGov(place)));
  });
}

/** Caches are no price of a call. */
const isPriced = (facts: readonly PriceFact[]): boolean => facts.some(({ unit }) => !unit.startsWith('cache'));

/** Prices of input and output by the million tokens, in dollars, as one source tells them. */
function ratesOf(model: string, key: Partial<PriceFact>): (number | undefined)[] {
  const wanted = { tier: 'standard', aboveTokens: 0, ...key };
  const facts = snapshot
    .find(model)
    .filter((fact) => Object.entries(wanted).every(([name, value]) => fact[name as keyof PriceFact] === value));
  return ['input', 'output'].map((unit) => {
    const fact = facts.find((one) => one.unit === unit);
    return fact && fact.picoUsd / 1e6;
  });
}

function priceOf(model: string, unit: FactUnit, key: Partial<PriceFact> = {}): number | undefined {
  const wanted = { unit, ...key };
  return snapshot
    .find(model)
    .find((fact) => Object.entries(wanted).every(([name, value]) => fact[name as keyof PriceFact] === value))?.picoUsd;
}

describe('the files of the snapshot', () => {
  it.each(['aws.json', 'litellm.json', 'genai-prices.json'])(
    '%s is whole, and written as the script writes it',
    (name) => {
      const text = readFileSync(`${ROOT}prices/${name}`, 'utf8');
      const file = openFactFile(text);
      checkFactFile(file);
      expect(formatFactFile(file)).toBe(text);
    },
  );

  it('name their source and its day', () => {
    expect(snapshot.sources.map(({ teller }) => teller)).toEqual(['aws', 'litellm', 'genai-prices']);
  });

  it('have one price of a source for each key', () => {
    const keys = snapshot.models.flatMap((model) =>
      snapshot.find(model).map((fact) => JSON.stringify({ ...fact, picoUsd: 0 })),
    );
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('say nothing of GovCloud under all regions, and of `*` only what holds in each', () => {
    const facts = snapshot.models.flatMap((model) => snapshot.find(model));
    const starred = facts.filter(({ place, unit }) => place === '*' && unit !== 'cacheWrite');
    expect([...new Set(starred.map(({ model }) => model.split('.')[0]))].toSorted()).toEqual([
      'anthropic',
      'guardrails',
    ]);
  });
});

describe('coverage', () => {
  it('has a price for every name that a source knows, where it is sold', () => {
    const unpriced = NAMES.filter((name) => !isPriced(findByName(name)) && !Object.hasOwn(EXCEPTIONS, name));
    expect(unpriced).toEqual([]);
    expect(NAMES.length).toBeGreaterThan(550);
  });

  it('has a price for every model that the AWS SDK names', () => {
    const files = globSync('node_modules/@aws-sdk/client-bedrock*/dist-types/**/*.d.ts', { cwd: ROOT });
    const text = files.map((file) => readFileSync(ROOT + file, 'utf8')).join('\n');
    const ids = text.matchAll(/\b((?:amazon|anthropic|cohere|meta|mistral|openai)\.[a-z][a-z-]*\d[a-z0-9.:-]*)/g);
    const names = [...new Set([...ids].map(([, id = '']) => id.replace(/[.:-]+$/, '')))];
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !isPriced(findByName(name)) && !Object.hasOwn(EXCEPTIONS, name))).toEqual([]);
  });

  it.each([
    'us.anthropic.claude-haiku-5-5',
    'eu.anthropic.claude-sonnet-5-5',
    'openai.gpt-6.1-sol',
    'deepseek.v3-v1:0',
    'deepseek.v3.2',
    'qwen.qwen3-235b-a22b-2507-v1:0',
    'qwen.qwen3-next-80b-a3b',
    'moonshotai.kimi-k2.5',
    'moonshotai.kimi-k3',
    'minimax.minimax-m2.5',
    'zai.glm-4.7-flash',
    'zai.glm-5.3',
    'xai.grok-4.7',
    'google.gemma-4-31b',
    'nvidia.nemotron-nano-12b-v2',
    'openai.gpt-oss-safeguard-20b',
    'mistral.mistral-large-2407-v1:0',
    'meta.llama3-1-405b-instruct-v1:0',
    'ai21.jamba-1-5-large-v1:0',
    'anthropic.claude-mythos-5-1',
    'amazon.nova-2-pro-preview-20251202-v1:0',
    'amazon.nova-2-5-sonic',
    'amazon.titan-embed-text-v2:0',
    'cohere.embed-v4:0',
    'cohere.command-r-plus-v1:0',
    'cohere.rerank-v3-5:0',
    'amazon.rerank-v1:0',
    'amazon.nova-canvas-v1:0',
    'amazon.nova-reel-v1:1',
    'luma.ray-v2:0',
    'stability.stable-image-ultra-v1:1',
    'twelvelabs.pegasus-1-5-v1:0',
    'twelvelabs.marengo-embed-3-0-v1:0',
    'writer.palmyra-x5-v1:0',
  ])('prices %s', (name) => {
    expect(isPriced(findByName(name))).toBe(true);
  });
});

describe('prices by region', () => {
  it.each([
    { model: 'amazon.nova-pro-v1:0', place: 'eu', scope: 'geo', rates: [1.05, 4.2] },
    { model: 'amazon.nova-pro-v1:0', place: 'us-east-1', scope: 'region', rates: [0.8, 3.2] },
    { model: 'amazon.nova-2-lite-v1:0', place: 'jp', scope: 'geo', rates: [0.396, 3.311] },
    { model: 'amazon.nova-2-lite-v1:0', place: 'us-east-1', scope: 'region', rates: [0.33, 2.75] },
    { model: 'amazon.nova-2-lite-v1:0', place: 'us-east-1', scope: 'global', rates: [0.3, 2.5] },
    { model: 'meta.llama3-70b-instruct-v1:0', place: 'sa-east-1', scope: 'region', rates: [4.45, 5.88] },
    { model: 'meta.llama3-70b-instruct-v1:0', place: 'eu-west-2', scope: 'region', rates: [3.45, 4.55] },
    { model: 'mistral.mistral-large-2402-v1:0', place: 'eu-west-3', scope: 'region', rates: [5.2, 15.6] },
    { model: 'anthropic.claude-sonnet-4-5-20250929-v1:0', place: '*', scope: 'region', rates: [3.3, 16.5] },
    { model: 'anthropic.claude-sonnet-4-5-20250929-v1:0', place: '*', scope: 'global', rates: [3, 15] },
    { model: 'anthropic.claude-sonnet-4-5-20250929-v1:0', place: 'us-gov-west-1', scope: 'region', rates: [3.6, 18] },
    { model: 'anthropic.claude-haiku-4-5-20251001-v1:0', place: '*', scope: 'region', rates: [1.1, 5.5] },
    { model: 'openai.gpt-6-sol', place: 'us-west-2', scope: 'region', rates: [2.2, 11] },
    { model: 'openai.gpt-oss-120b-1:0', place: 'us-gov-east-1', scope: 'region', rates: [0.18, 0.72] },
    { model: 'meta.llama3-8b-instruct-v1:0', place: 'us-gov-east-1', scope: 'region', rates: [undefined, undefined] },
  ] as const)('$model in $place ($scope) costs $rates', ({ model, place, scope, rates }) => {
    expect(ratesOf(model, { place, scope, source: 'litellm' })).toEqual(rates);
  });

  it('has Claude from 4.5 on a tenth dearer in a region than by `global.`, from every source', () => {
    const models = snapshot.models.filter((model) => /claude-(?:[a-z]+-(?:4-[5-9]|5)|mythos-5-1)/.test(model));
    expect(models.length).toBeGreaterThan(15);
    const factors = models.flatMap((model) =>
      (['litellm', 'genai-prices'] as const).flatMap((source) => {
        const [region, global] = (['region', 'global'] as const).map(
          (scope) => ratesOf(model, { place: '*', scope, source })[0],
        );
        return region === undefined || global === undefined ? [] : [Math.round((1000 * region) / global)];
      }),
    );
    expect(new Set(factors)).toEqual(new Set([1100]));
  });
});

describe('prices of other units', () => {
  const sonnet = 'anthropic.claude-sonnet-4-5-20250929-v1:0';

  it.each([
    ['Nova writes its cache for nothing', 'amazon.nova-lite-v1:0', 'cacheWrite', {}, 0],
    [
      'Claude writes for an hour at twice the input',
      sonnet,
      'cacheWrite1h',
      { place: '*', scope: 'global', aboveTokens: 0 },
      6e6,
    ],
    [
      'above 200K tokens the input costs twice',
      sonnet,
      'input',
      { place: '*', scope: 'global', aboveTokens: 200_000 },
      6e6,
    ],
    ['at flex half', 'amazon.nova-pro-v1:0', 'input', { place: 'us-east-1', tier: 'flex' }, 400_000],
    ['at priority more', 'amazon.nova-pro-v1:0', 'output', { place: 'us-east-1', tier: 'priority' }, 5_600_000],
    ['at optimised latency more', 'amazon.nova-pro-v1:0', 'input', { tier: 'optimized' }, 1_000_000],
    ['in a batch half', sonnet, 'input', { place: '*', scope: 'region', tier: 'batch' }, 1_650_000],
    ['speech', 'amazon.nova-2-5-sonic', 'outputAudio', {}, 12e6],
    ['a reranking by the query', 'amazon.rerank-v1:0', 'searchQueries', {}, 1e9],
    ['a second of video that is read', 'twelvelabs.pegasus-1-5-v1:0', 'inputVideoSeconds', {}, 490e6],
    ['a second of video that is made', 'amazon.nova-reel-v1:1', 'videoSeconds', {}, 80e9],
    ['an image', 'stability.stable-image-ultra-v1:1', 'image', {}, 140e9],
    ['a search of the web', 'anthropic.claude-sonnet-4-6', 'webSearches', {}, 10e9],
    ['a unit of a guardrail', 'guardrails', 'topicPolicyUnits', {}, 150e6],
    ['a unit of a check', 'guardrails', 'promptAttack.textUnits', {}, 80e6],
    ['words are filtered for nothing', 'guardrails', 'wordPolicyUnits', {}, 0],
  ] as const)('%s', (_, model, unit, key, picoUsd) => {
    expect(priceOf(model, unit, key)).toBe(picoUsd);
  });

  it('images of Nova Canvas by quality and size', () => {
    const images = snapshot
      .find('amazon.nova-canvas-v1:0')
      .filter(({ place, scope, source }) => place === 'us-east-1' && scope === 'region' && source === 'aws');
    expect(images.map(({ limits, picoUsd }) => [limits?.quality, limits?.maxSide, picoUsd / 1e12])).toEqual([
      ['premium', 1024, 0.06],
      ['premium', 2048, 0.08],
      ['standard', 1024, 0.04],
      ['standard', 2048, 0.06],
    ]);
  });

  it('knows what models read and write at most', () => {
    expect(snapshot.findWindow('us.amazon.nova-pro-v1:0')).toEqual({ contextTokens: 300_000, maxOutputTokens: 10_000 });
    expect(snapshot.findWindow(sonnet)).toEqual({ contextTokens: 1_000_000, maxOutputTokens: 64_000 });
  });
});
