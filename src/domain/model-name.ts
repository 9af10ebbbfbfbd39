/**
 * What a request calls its model, and every name under which a rule may mean it: id, profile of a geography, ARN. Pure.
 * Never guesses: a name that does not say its model has no form but itself, so that a custom model that is named like
 * an allowed one does not pass for it.
 */

/** A model's name, taken apart. */
export interface ModelName {
  readonly raw: string;
  /**
   * What a pattern may match, the most exact first: the name as it is; of the ARN of a foundation model or of a system
   * inference profile the id in it; that id without its geography. No two are the same.
   */
  readonly forms: readonly string[];
  /** The id under which prices are known, geography included; undefined if the name does not say the model. */
  readonly priceName: string | undefined;
  /** The identifier for GetInferenceProfile, if the name may be that of an application inference profile. */
  readonly lookup: string | undefined;
}

/** Longest model identifier (Bedrock's API models); a client may send more. */
export const MAX_MODEL_LENGTH = 2_048;

/**
 * Provider, model, versions: what AWS calls foundation models and system inference profiles. AWS has them in lower
 * case.
 */
const MODEL_ID = /^[a-z0-9-]{1,63}\.[a-z0-9-]{1,63}(?:[.:][a-z0-9-]{1,63}){0,8}$/;
/** In an ARN. */
const PROFILE_ID = /^[A-Za-z0-9-]{1,64}$/;
/**
 * Without its ARN: as AWS makes them. A name that could be anything else is not looked up, because clients choose
 * names.
 */
const BARE_PROFILE_ID = /^(?=[a-z0-9]*\d)[a-z0-9]{12}$/;
/** Bedrock's API models: foundation models have no account, profiles may have none in the names of some tools. */
const ARN =
  /^arn:aws(?:-[a-z]+){0,2}:bedrock:[a-z0-9-]{0,20}:(?:\d{12})?:(foundation-model|inference-profile|application-inference-profile)\/([^/]+)$/;
/**
 * A geography before a provider. Any two letters, because AWS adds geographies, but a provider has three and more: so
 * `openai.gpt-5.4` and `us.us.anthropic.…` lose nothing.
 */
const GEOGRAPHY = /^(?:[a-z]{2}|us-gov|apac|global)\.(?!(?:apac|global)\.)(?=[a-z][a-z0-9]{2,}\.[a-z])/;

/** An id of any kind: of a model, a profile, an agent. */
const ID = /^[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,254}[A-Za-z0-9])?$/;
/** The ARN of anything; of what has an id alone, without more behind it. */
const ANY_ARN =
  /^arn:aws(?:-[a-z]+){0,2}:[a-z0-9-]{1,40}:[a-z0-9-]{0,40}:\d{0,12}:(?!(?:foundation-model|(?:application-)?inference-profile)\/[^/]*\/)[a-z-]{1,40}(?:\/[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,254}[A-Za-z0-9])?){1,4}$/;

/**
 * Whether text is an id or an ARN by its letters. Anything else (`?`, `;`, `%`, a space, a slash in an id) may be cut
 * or changed by what reads it, so that no pattern with a star can be held against it.
 */
export function isIdentifier(name: string): boolean {
  return name.length <= MAX_MODEL_LENGTH && (ID.test(name) || ANY_ARN.test(name));
}

/** `raw` as the request names it, percent-decoded once by the caller. Throws never. */
export function parseModelName(raw: string): ModelName {
  if (raw.length > MAX_MODEL_LENGTH) return { raw, forms: [raw], priceName: undefined, lookup: undefined };
  if (MODEL_ID.test(raw)) return nameOfModel(raw, raw);
  if (BARE_PROFILE_ID.test(raw)) return { raw, forms: [raw], priceName: undefined, lookup: raw };
  const [, type, id = ''] = ARN.exec(raw) ?? [];
  if (type === 'application-inference-profile' && PROFILE_ID.test(id)) {
    return { raw, forms: [raw], priceName: undefined, lookup: raw };
  }
  if ((type === 'foundation-model' || type === 'inference-profile') && MODEL_ID.test(id)) return nameOfModel(raw, id);
  return { raw, forms: [raw], priceName: undefined, lookup: undefined };
}

/**
 * The names under which the models behind an application inference profile are priced, by the ARNs that
 * GetInferenceProfile lists: in `global.` if one of a model's ARNs has no region, as AWS names the models of global
 * profiles; in a geography if its regions are several; otherwise the ARN as it is.
 * https://docs.aws.amazon.com/bedrock/latest/userguide/global-cross-region-inference.html
 */
export function priceNamesOfProfile(arns: readonly string[]): readonly string[] {
  const models = Map.groupBy(arns, (arn) => parseModelName(arn).priceName ?? arn);
  return [...models].flatMap(([id, behind]) => {
    const regions = new Set(behind.map(regionOf));
    const [region] = regions;
    if (region === undefined || (regions.size === 1 && region !== '')) return behind.slice(0, 1);
    const geography = regions.has('') ? 'global' : geographyOf(region);
    return [`${geography}.${withoutGeography(id)}`];
  });
}

/** Of a foundation model's ARN; undefined if it is none. */
function regionOf(arn: string): string | undefined {
  return /^arn:[^:]*:bedrock:([^:]*):[^:]*:foundation-model\//.exec(arn)?.[1];
}

/** A region's largest one. There are smaller ones, such as `jp`; of a price it matters only that there is one. */
function geographyOf(region: string): string {
  if (region.startsWith('us-gov-')) return 'us-gov';
  const start = region.slice(0, 2);
  return start === 'ap' ? 'apac' : start;
}

/** The id without the geography of its inference profile; the same if it has none. */
export function withoutGeography(modelId: string): string {
  return modelId.replace(GEOGRAPHY, '');
}

function nameOfModel(raw: string, id: string): ModelName {
  return { raw, forms: [...new Set([raw, id, withoutGeography(id)])], priceName: id, lookup: undefined };
}
