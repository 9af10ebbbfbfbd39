/**
 * The models of the offline Bedrock: the list that ListFoundationModels gives, and what a model identifier means. Pure
 * data and look-ups. The list is an excerpt; any other model of a provider listed here responds as well.
 */
import { parseArn } from '../../protocol/arn.ts';

/** Which shape of request and response InvokeModel has for a model. */
export type ModelShape = 'anthropic' | 'nova' | 'titan-embedding' | 'other';

/** A model of the offline Bedrock. */
export interface ListedModel {
  readonly id: string;
  readonly name: string;
  readonly provider: string;
  readonly input: readonly string[];
  readonly output: 'TEXT' | 'EMBEDDING';
  /** Called through inference profiles only, of these geographies. Empty: called by its own id. */
  readonly geographies: readonly string[];
}

/** A model as a client named it. */
export interface NamedModel {
  /** Without geography and ARN; of an ARN that does not name its model, the resource's id. */
  readonly id: string;
  readonly shape: ModelShape;
}

/** Account id in every ARN the offline Bedrock makes up; AWS uses the same in its examples. */
export const ACCOUNT_ID = '123456789012';

const GEOGRAPHIES = ['us', 'eu', 'apac', 'jp', 'au', 'ca', 'us-gov', 'global'] as const;
const SEEING = ['TEXT', 'IMAGE'] as const;

function listed(
  id: string,
  name: string,
  provider: string,
  rest: Partial<Pick<ListedModel, 'input' | 'output' | 'geographies'>> = {},
): ListedModel {
  return { id, name, provider, input: ['TEXT'], output: 'TEXT', geographies: [], ...rest };
}

const CLAUDE = { input: SEEING, geographies: ['us', 'eu', 'apac', 'global'] };
const NOVA = { input: [...SEEING, 'VIDEO'], geographies: ['us', 'eu', 'apac'] };

/** What ListFoundationModels lists. Names have at most 20 characters (the service's own limit). */
export const LISTED_MODELS: readonly ListedModel[] = [
  listed('anthropic.claude-opus-4-6-v1', 'Claude Opus 4.6', 'Anthropic', CLAUDE),
  listed('anthropic.claude-sonnet-4-5-20250929-v1:0', 'Claude Sonnet 4.5', 'Anthropic', CLAUDE),
  listed('anthropic.claude-haiku-4-5-20251001-v1:0', 'Claude Haiku 4.5', 'Anthropic', CLAUDE),
  listed('anthropic.claude-3-5-sonnet-20241022-v2:0', 'Claude 3.5 Sonnet v2', 'Anthropic', { input: SEEING }),
  listed('anthropic.claude-3-haiku-20240307-v1:0', 'Claude 3 Haiku', 'Anthropic', { input: SEEING }),
  listed('amazon.nova-premier-v1:0', 'Nova Premier', 'Amazon', NOVA),
  listed('amazon.nova-pro-v1:0', 'Nova Pro', 'Amazon', NOVA),
  listed('amazon.nova-lite-v1:0', 'Nova Lite', 'Amazon', NOVA),
  listed('amazon.nova-micro-v1:0', 'Nova Micro', 'Amazon'),
  listed('amazon.titan-embed-text-v1', 'Titan Embeddings G1', 'Amazon', { output: 'EMBEDDING' }),
  listed('amazon.titan-embed-text-v2:0', 'Titan Embeddings V2', 'Amazon', { output: 'EMBEDDING' }),
  listed('cohere.command-r-plus-v1:0', 'Command R+', 'Cohere'),
  listed('deepseek.r1-v1:0', 'DeepSeek-R1', 'DeepSeek', { geographies: ['us'] }),
  listed('meta.llama3-3-70b-instruct-v1:0', 'Llama 3.3 70B', 'Meta', { geographies: ['us'] }),
  listed('mistral.mistral-large-2407-v1:0', 'Mistral Large 24.07', 'Mistral AI'),
  listed('openai.gpt-oss-120b-1:0', 'gpt-oss-120b', 'OpenAI'),
  listed('offline.echo-v1:0', 'Offline Echo', 'Offline'),
];

const OTHER_PROVIDERS = ['ai21', 'google', 'minimax', 'moonshot', 'moonshotai', 'nvidia', 'qwen', 'writer', 'zai'];
const PROVIDERS = new Set([...LISTED_MODELS.map((model) => model.id.split('.')[0]), ...OTHER_PROVIDERS]);

/** ARN resources whose id is a model's id. */
const NAMING_RESOURCES = new Set(['foundation-model', 'inference-profile']);
/** ARN resources that stand for a model without naming it; served in the shape of Anthropic's. */
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

const MODEL_ID = /^[a-z0-9-]{1,63}\.[a-z0-9.-]{1,126}(?::[a-z0-9-]{1,63}){0,2}$/;
const GEOGRAPHY_PREFIX = new RegExp(`^(?:${GEOGRAPHIES.join('|')})\\.(?=[a-z0-9-]+\\.)`);

/**
 * The model an identifier means: a model id, the id of an inference profile, or an ARN (of the region that is asked).
 * Undefined if it means none.
 */
export function findOfflineModel(identifier: string, region: string): NamedModel | undefined {
  const arn = parseArn(identifier);
  if (arn === undefined) return findById(identifier);
  if (arn.service !== 'bedrock' || arn.region !== region) return undefined;
  const resourceId = identifier.slice(identifier.indexOf('/') + 1);
  if (NAMING_RESOURCES.has(arn.resourceType)) return findById(resourceId);
  return OPAQUE_RESOURCES.has(arn.resourceType) ? { id: resourceId, shape: 'anthropic' } : undefined;
}

function findById(identifier: string): NamedModel | undefined {
  const id = identifier.replace(GEOGRAPHY_PREFIX, '');
  const [provider = ''] = id.split('.');
  if (!MODEL_ID.test(id) || !PROVIDERS.has(provider)) return undefined;
  return { id, shape: shapeOf(id, provider) };
}

function shapeOf(id: string, provider: string): ModelShape {
  if (provider === 'anthropic' || provider === 'offline') return 'anthropic';
  if (id.startsWith('amazon.nova-')) return id.includes('-sonic') || id.includes('-canvas') ? 'other' : 'nova';
  return id.startsWith('amazon.titan-embed-text') ? 'titan-embedding' : 'other';
}
