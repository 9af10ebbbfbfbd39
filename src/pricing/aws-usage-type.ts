/**
 * What a usage type of AWS's price list meters: `USE1-NovaPro-cache-read-input-token-count-flex`,
 * `USE1-MP:USE1_InputTokenCount_LCtx_Global-Units`. Read by a closed vocabulary: a usage type with a word that is not
 * in it is of something else (a custom model, provisioned throughput), or new, and is not guessed at. Pure.
 *
 * Source: the usage types that AWS documents (https://docs.aws.amazon.com/bedrock/latest/userguide/cost-mgmt-cur.html),
 * and those in the offers AmazonBedrock, AmazonBedrockService and AmazonBedrockFoundationModels of the Price List.
 */
import type { FactUnit, MediaLimits, PriceScope } from './price-fact.ts';
import type { Tier } from './cost.ts';

/** What one usage type meters. */
export interface Meter {
  /** The model, as usage types call it; empty in the offer of the marketplace, whose products name it. */
  readonly name: string;
  /** `marketplace` counts tokens by the million, `native` says by how many. */
  readonly style: 'native' | 'marketplace';
  readonly unit: FactUnit;
  readonly limits?: MediaLimits;
  /** AWS bills the profile of a geography like the region, unless it has a usage type of its own. */
  readonly scopes: readonly PriceScope[];
  readonly tier: Tier;
  /** Above the length from which the model costs more, which no usage type says. */
  readonly isLong: boolean;
  /** Its second name for reads of a cache: it counts if the first is not in the list. */
  readonly isFallback: boolean;
}

const REGION_CODE = '[A-Z]{2,4}\\d{0,2}';
const MARKETPLACE = new RegExp(`^(?:${REGION_CODE}-)?(?:MP:)?(?:${REGION_CODE}_)?(\\w+)-Units$`);
const NATIVE = new RegExp(`^(?:${REGION_CODE}-)?(.+)$`);
const GUARDRAIL = /^Guardrail-([A-Z]\w+?)(?:Paid)?(Free)?UnitsConsumed$/;
const GUARDRAIL_CHECK = /^GuardrailChecks-(ContentFilter|PromptAttack|SensitiveInformation)CheckUnitsConsumed$/;
const IMAGE = /^(.+)-[TI]2I-(\d{3,4})-(Standard|Premium)$/;
const VIDEO = /^(.+?)(?:-[TI]2V)?(?:-\w+fps)?-(HD|Standard)Res(?:olution)?(?:-output-seconds)?$/;
/** Words of names in two styles: `CacheWrite1hInputTokenCount_LCtx`, `cache_write_tokens_30m_standard`. */
const WORD = /\d+[a-z]?|[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g;

const KINDS = ['input', 'output', 'response', 'cache', 'cached', 'read', 'write', 'created', 'search', 'searchunits'];
const MEDIA = ['token', 'tokens', 'image', 'video', 'audio', 'speech', 'second', 'seconds', '1h'];
const TIER_WORDS = { flex: 'flex', priority: 'priority', batch: 'batch', optimized: 'optimized' } as const;
const SCOPE_WORDS = ['global', 'geo', 'cross', 'region'];
const LONG_WORDS = ['long', 'ctx', 'context'];
/** Say nothing that the others do not say. */
const OTHER_WORDS = ['mantle', 'standard', 'text', 'count', 'million', 'units', 'l', '5m', '30m', 'latency'];
const VOCABULARY: ReadonlySet<string> = new Set([
  ...KINDS,
  ...MEDIA,
  ...Object.keys(TIER_WORDS),
  ...SCOPE_WORDS,
  ...LONG_WORDS,
  ...OTHER_WORDS,
]);

/** Undefined if it meters nothing that this program counts. Throws never. */
export function parseUsageType(usageType: string): Meter | undefined {
  if (usageType.length > 200) return undefined;
  const dimension = MARKETPLACE.exec(usageType)?.[1];
  if (dimension !== undefined) return meterOf('', 'marketplace', dimension.match(WORD) ?? []);
  const rest = NATIVE.exec(usageType)?.[1] ?? '';
  return parseSpecial(rest) ?? parseNative(rest);
}

const ANY_WAY = {
  style: 'native',
  scopes: ['region', 'geo'],
  tier: 'standard',
  isLong: false,
  isFallback: false,
} as const;

function parseSpecial(rest: string): Meter | undefined {
  const [, policy, free = ''] = GUARDRAIL.exec(rest) ?? [];
  if (policy !== undefined) {
    const unit: FactUnit = `${policy.charAt(0).toLowerCase()}${policy.slice(1)}${free}Units`;
    return { ...ANY_WAY, name: 'guardrails', unit };
  }
  const check = GUARDRAIL_CHECK.exec(rest)?.[1];
  if (check !== undefined) {
    return { ...ANY_WAY, name: 'guardrails', unit: `${check.charAt(0).toLowerCase()}${check.slice(1)}.textUnits` };
  }
  const [, imageModel, side, quality = ''] = IMAGE.exec(rest) ?? [];
  if (imageModel !== undefined) {
    const limits = { quality: quality.toLowerCase(), maxSide: Number(side) };
    return { ...ANY_WAY, name: imageModel, unit: 'image', limits };
  }
  const [, videoModel, resolution = ''] = VIDEO.exec(rest) ?? [];
  if (videoModel === undefined) return undefined;
  return { ...ANY_WAY, name: videoModel, unit: 'videoSeconds', limits: { quality: resolution.toLowerCase() } };
}

/** The name of the model is what stands before the words of the vocabulary, which are in lower case here. */
function parseNative(rest: string): Meter | undefined {
  const words = rest.split('-');
  const last = words.findLastIndex((word) => !VOCABULARY.has(word));
  if (last === -1 || last === words.length - 1) return undefined;
  return meterOf(words.slice(0, last + 1).join('-'), 'native', words.slice(last + 1));
}

function meterOf(name: string, style: Meter['style'], words: readonly string[]): Meter | undefined {
  const said = new Set(words.map((word) => word.toLowerCase()));
  if (![...said].every((word) => VOCABULARY.has(word))) return undefined;
  const unit = unitOf(said);
  const tiers = Object.entries(TIER_WORDS).filter(([word]) => said.has(word));
  if (unit === undefined || tiers.length > 1 || (said.has('latency') && !said.has('optimized'))) return undefined;
  return {
    name,
    style,
    unit,
    scopes: scopesOf(said),
    tier: tiers[0]?.[1] ?? 'standard',
    isLong: LONG_WORDS.some((word) => said.has(word)),
    isFallback: said.has('cached'),
  };
}

function unitOf(said: ReadonlySet<string>): FactUnit | undefined {
  const isInput = said.has('input');
  const isOutput = said.has('output') || said.has('response') || said.has('created');
  if (said.has('search') || said.has('searchunits')) return isInput || isOutput ? undefined : 'searchQueries';
  const isCache = said.has('cache') || said.has('cached');
  const isToken = said.has('token') || said.has('tokens');
  if (isCache) return isToken && !isOutput ? cacheUnitOf(said) : undefined;
  if (isInput === isOutput) return undefined;
  const isSound = said.has('audio') || said.has('speech');
  if (isToken) {
    // Tokens of pictures and films have no count of their own in responses.
    if (said.has('image') || said.has('video')) return undefined;
    if (isSound) return isInput ? 'inputAudio' : 'outputAudio';
    return isInput ? 'input' : 'output';
  }
  if (said.has('image')) return isInput ? 'inputImages' : 'image';
  if (!said.has('second') && !said.has('seconds')) return undefined;
  if (isOutput) return isSound ? undefined : 'videoSeconds';
  return isSound ? 'inputAudioSeconds' : said.has('video') ? 'inputVideoSeconds' : undefined;
}

function cacheUnitOf(said: ReadonlySet<string>): FactUnit | undefined {
  if (said.has('image') || said.has('audio') || said.has('speech') || said.has('video')) return undefined;
  if (said.has('write')) return said.has('read') ? undefined : said.has('1h') ? 'cacheWrite1h' : 'cacheWrite';
  return said.has('read') || said.has('cached') ? 'cacheRead' : undefined;
}

function scopesOf(said: ReadonlySet<string>): readonly PriceScope[] {
  if (said.has('global')) return ['global'];
  return said.has('geo') || said.has('cross') ? ['geo'] : ['region', 'geo'];
}
