/** What the snapshot of prices covers, and where its sources differ, as tables for the docs. */
import { readFileSync } from 'node:fs';
import { withoutGeography } from '../../src/domain/model-name.ts';
import type { PriceFact } from '../../src/pricing/price-fact.ts';
import { readSnapshot } from '../../src/pricing/snapshot.ts';
import { renderCode, renderTable } from './markdown.ts';

const SHOWN_DISAGREEMENTS = 5;

/** The first that fits. */
const FAMILIES: readonly (readonly [family: string, id: RegExp])[] = [
  ['embeddings', /embed/],
  ['rerank', /rerank/],
  ['speech', /sonic/],
  ['Amazon image and video', /^amazon\.(?:nova-(?:canvas|reel)|titan-image)/],
  ['Amazon text', /^amazon\./],
  ['AI21', /^ai21\./],
  ['Claude', /^anthropic\./],
  ['Cohere', /^cohere\./],
  ['DeepSeek', /^deepseek\./],
  ['Gemma', /^google\./],
  ['GLM', /^zai\./],
  ['Grok', /^xai\./],
  ['Kimi', /^moonshot/],
  ['Llama', /^meta\./],
  ['Luma', /^luma\./],
  ['MiniMax', /^minimax\./],
  ['Mistral', /^mistral\./],
  ['Nemotron', /^nvidia\./],
  ['OpenAI', /^openai\./],
  ['Palmyra', /^writer\./],
  ['Qwen', /^qwen\./],
  ['Stability', /^stability\./],
  ['TwelveLabs', /^twelvelabs\./],
];

/** Each source with its day. */
export function renderPriceSources(): string {
  const snapshot = readSnapshot();
  const facts = snapshot.models.flatMap((model) => snapshot.find(model));
  const rows = snapshot.sources.map(({ teller, title, asOf }) => {
    const own = facts.filter(({ source }) => source === teller);
    return [renderCode(teller), title, asOf, String(new Set(own.map(({ model }) => model)).size)];
  });
  return renderTable(['source', 'what was read', 'of', 'models'], rows);
}

/** By family: names that sources know, a geography or a region before them; those priced; those with other tiers. */
export function renderPriceCoverage(): string {
  const snapshot = readSnapshot();
  const text = readFileSync(new URL('../../prices/names.json', import.meta.url), 'utf8');
  const names = (JSON.parse(text) as string[]).map((name) => {
    const model = withoutGeography(name.replace(/^[a-z-]+-\d\//, ''));
    return { model, facts: snapshot.find(model).filter(({ unit }) => !unit.startsWith('cache')) };
  });
  const rows = FAMILIES.map(([family]) => {
    const own = names.filter(({ model }) => familyOf(model) === family);
    const priced = own.filter(({ facts }) => facts.some(({ tier }) => tier === 'standard'));
    const places = new Set(own.flatMap(({ facts }) => facts.map(({ place }) => place)));
    return [
      family,
      String(new Set(own.map(({ model }) => model)).size),
      String(own.length),
      `${priced.length} (${Math.round((100 * priced.length) / own.length)}%)`,
      ['flex', 'priority', 'batch']
        .filter((tier) => own.some(({ facts }) => facts.some((one) => one.tier === tier)))
        .join(', '),
      describePlaces(places),
    ];
  });
  return renderTable(['family', 'models', 'names', 'priced', 'other tiers', 'regions and geographies'], rows);
}

function familyOf(model: string): string | undefined {
  return FAMILIES.find(([, id]) => id.test(model))?.[0];
}

function describePlaces(places: ReadonlySet<string>): string {
  const named = [...places].filter((place) => place !== '*').length;
  return places.has('*') ? `all, ${named} by name` : String(named);
}

/** The prices that two sources tell differently: how many, and those that differ most. */
export function renderPriceDisagreements(): string {
  const snapshot = readSnapshot();
  const told = Map.groupBy(
    snapshot.models.flatMap((model) => snapshot.find(model)),
    ({ model, place, scope, tier, aboveTokens, unit, limits }) =>
      JSON.stringify([model, place, scope, tier, aboveTokens, unit, limits ?? null]),
  );
  const twice = [...told.values()].filter((facts) => facts.length > 1);
  const differing = twice
    .map((facts) => facts.toSorted((one, other) => one.picoUsd - other.picoUsd))
    .flatMap((facts) => facts.slice(0, 1).map((low) => ({ low, high: facts.at(-1) ?? low })))
    .filter(({ low, high }) => low.picoUsd !== high.picoUsd)
    .toSorted((one, other) => other.high.picoUsd / other.low.picoUsd - one.high.picoUsd / one.low.picoUsd);
  const rows = differing.slice(0, SHOWN_DISAGREEMENTS).map(({ low, high }) => {
    const place = [low.scope, low.place].join(' ');
    return [
      renderCode(low.model),
      place,
      low.unit,
      ...[low, high].map((fact) => `${renderUsd(fact)} (${fact.source})`),
    ];
  });
  if (rows.length === 0) return `Of ${twice.length} prices that two sources tell, none differs.`;
  const table = renderTable(['model', 'place', 'unit', 'lower', 'higher'], rows);
  return `Of ${twice.length} prices that two sources tell, ${differing.length} differ, most of all:\n\n${table}`;
}

/** Of tokens by the million. */
function renderUsd({ unit, picoUsd }: PriceFact): string {
  const isToken = /^(?:input|output|cache)(?!Images|VideoSeconds|AudioSeconds)/.test(unit);
  return String(picoUsd / (isToken ? 1e6 : 1e12));
}
