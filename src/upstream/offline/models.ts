/**
 * What a model identifier means to the offline Bedrock, and why it is refused. Pure look-ups in the tables of models
 * and places; model ids that fail on demand (faults.ts) need no row.
 */
import { parseArn } from '../../protocol/arn.ts';
import { MODEL_ROWS, PROVIDER_NAMES, type ModelRow } from './model-table.ts';
import { GEOGRAPHY_NAMES, isGeographyOf } from './places.ts';
import { findShape, type ModelShape } from './shapes.ts';

/** A model of the offline Bedrock. */
export interface ListedModel {
  readonly id: string;
  readonly name: string;
  readonly provider: string;
  /** As AWS names modalities: `TEXT`, `IMAGE`, `VIDEO`, `SPEECH`. */
  readonly input: readonly string[];
  readonly output: readonly string[];
  /** True if it is called by its own id, and not only through inference profiles. */
  readonly isOnDemand: boolean;
  /** Of its inference profiles. */
  readonly geographies: readonly string[];
  /** The least that a checkpoint of its prompt cache holds; 0: it has none. */
  readonly cacheTokens: number;
}

/** A model as a client named it. */
export interface NamedModel {
  /** Without geography and ARN; of an ARN that does not name its model, the resource's id. */
  readonly id: string;
  readonly shape: ModelShape;
  /** Its row; undefined for what an ARN does not name. */
  readonly listed: ListedModel | undefined;
  /** True if it was named by its own id and can be called through inference profiles only. */
  readonly needsProfile: boolean;
}

/** Account id in every ARN the offline Bedrock makes up; AWS uses the same in its examples. */
export const ACCOUNT_ID = '123456789012';

const MODALITIES: Readonly<Record<string, string>> = {
  T: 'TEXT',
  I: 'IMAGE',
  V: 'VIDEO',
  S: 'SPEECH',
  E: 'EMBEDDING',
};

/** What ListFoundationModels lists. */
export const LISTED_MODELS: readonly ListedModel[] = MODEL_ROWS.map(readRow);

/** Every id that some region of AWS takes: of models that are called on demand, and of inference profiles. */
export function listCallableIds(): string[] {
  return LISTED_MODELS.flatMap(({ id, isOnDemand, geographies }) => [
    ...(isOnDemand ? [id] : []),
    ...geographies.map((geography) => `${geography}.${id}`),
  ]);
}

const BY_ID = new Map(LISTED_MODELS.map((model) => [model.id, model]));

/** ARN resources whose id is a model's id. */
const NAMING_RESOURCES = new Set(['foundation-model', 'inference-profile']);
/** ARN resources that stand for a model without naming it. */
const OPAQUE_RESOURCES = new Set([
  'application-inference-profile',
  'custom-model',
  'custom-model-deployment',
  'default-prompt-router',
  'imported-model',
  'prompt',
  'prompt-router',
  'provisioned-model',
]);

const FAULTY_ID = /^offline\.[a-z-]+-v1:0$/;
const GEOGRAPHY_PREFIX = new RegExp(`^(${GEOGRAPHY_NAMES.join('|')})\\.(?=[a-z0-9-]+\\.)`);
/** A context window of provisioned throughput, as in `amazon.nova-lite-v1:0:300k`. */
const WINDOW_SUFFIX = /:(?:\d+k|mm)$/;
/** What the names of OpenAI's and Anthropic's APIs leave away. */
const VERSION_SUFFIX = /(?:-\d{8})?(?:-v\d+(?::\d+)?|-\d:0)$/;

const BY_SHORT_NAME = new Map(LISTED_MODELS.map((model) => [model.id.replace(VERSION_SUFFIX, ''), model]));

/**
 * The model an identifier means in a region: a model id, the id of an inference profile, or an ARN of that region.
 * Undefined if it means none.
 */
export function findOfflineModel(identifier: string, region: string): NamedModel | undefined {
  const arn = parseArn(identifier);
  if (arn === undefined) return findById(identifier, region);
  if (arn.service !== 'bedrock' || arn.region !== region) return undefined;
  const resourceId = identifier.slice(identifier.indexOf('/') + 1);
  if (NAMING_RESOURCES.has(arn.resourceType)) return findById(resourceId, region);
  if (!OPAQUE_RESOURCES.has(arn.resourceType)) return undefined;
  return { id: resourceId, shape: 'unknown', listed: undefined, needsProfile: false };
}

/** The same for OpenAI's and Anthropic's APIs, which know models by shorter names too: `openai.gpt-oss-20b`. */
export function findNamedModel(identifier: string, region: string): NamedModel | undefined {
  const found = findOfflineModel(identifier, region);
  if (found !== undefined) return found;
  const [, geography] = GEOGRAPHY_PREFIX.exec(identifier) ?? [];
  const listed = BY_SHORT_NAME.get(identifier.replace(GEOGRAPHY_PREFIX, ''));
  if (listed === undefined || (geography !== undefined && !isProfile(listed, geography, region))) return undefined;
  return nameModel(listed.id, listed, false);
}

/** True if the model has an inference profile of this geography in this region. */
export function isProfile(model: ListedModel, geography: string, region: string): boolean {
  return model.geographies.includes(geography) && isGeographyOf(geography, region);
}

function findById(identifier: string, region: string): NamedModel | undefined {
  const [, geography] = GEOGRAPHY_PREFIX.exec(identifier) ?? [];
  const id = identifier.replace(GEOGRAPHY_PREFIX, '');
  if (FAULTY_ID.test(id)) return nameModel(id, BY_ID.get('offline.echo-v1:0'), false);
  const isWindow = WINDOW_SUFFIX.test(id);
  const listed = BY_ID.get(id.replace(WINDOW_SUFFIX, ''));
  if (listed === undefined) return undefined;
  if (geography !== undefined) {
    return isWindow || !isProfile(listed, geography, region) ? undefined : nameModel(id, listed, false);
  }
  return nameModel(id, listed, isWindow || !listed.isOnDemand);
}

function nameModel(id: string, listed: ListedModel | undefined, needsProfile: boolean): NamedModel {
  return { id, shape: findShape(id), listed, needsProfile };
}

function readRow([id, name, flow, places, cacheTokens = 0]: ModelRow): ListedModel {
  const [input = '', output = ''] = flow.split('>');
  const [providerId = ''] = id.split('.');
  return {
    id,
    name,
    provider: PROVIDER_NAMES[providerId] ?? providerId,
    input: [...input].map((letter) => MODALITIES[letter] ?? letter),
    output: [...output].map((letter) => MODALITIES[letter] ?? letter),
    isOnDemand: places.split(' ').includes('here'),
    geographies: places.split(' ').filter((place) => place !== 'here'),
    cacheTokens,
  };
}
