/**
 * Which model AWS's price list means by a name: `Nova 2.0 Lite`, `Claude4.5Sonnet`, `openai.gpt-oss-120b`,
 * `Claude Haiku 4.5 (Amazon Bedrock Edition)`. Names are compared by their letters and by their numbers, each in their
 * order, because that is what the ways of writing one have in common. What could mean two models means none. Pure.
 */

/** Words that an id has and a name leaves out, or the other way round. */
const EMPTY_WORDS = /\b(?:instruct|chat|it|pt|dense|preview|text generation)\b/g;
const EDITION = /\s*\(Amazon Bedrock Edition\)\s*$/;
const OPTIMIZED = /\s*\(?\blatency[- ]optimized\b\)?\s*/i;
const VERSION = /(?:-v[01])?(?::\d+)?(?::[a-z0-9]+)?$/;

/** What rules do not find: the price list's name, and the beginnings of the ids it means. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  'DeepSeek V3.1': ['deepseek.v3-v1', 'deepseek.v3.1'],
  'Nova MultiModal Embeddings': ['amazon.nova-2-multimodal-embeddings-v1'],
  'Titan Embeddings G1 Text': ['amazon.titan-embed-text-v1', 'amazon.titan-embed-g1-text-02'],
  'Titan Embedding V2 Text': ['amazon.titan-embed-text-v2'],
  'Titan Text Embeddings V2': ['amazon.titan-embed-text-v2'],
  'Titan Embeddings G1 Image': ['amazon.titan-embed-image-v1'],
  'Titan Multimodal Embeddings G1': ['amazon.titan-embed-image-v1'],
  'Titan Image Generator G1': ['amazon.titan-image-generator-v1'],
  'Titan Image Generator G1 v2': ['amazon.titan-image-generator-v2'],
  'Titan Text G1 Express': ['amazon.titan-text-express-v1'],
  'Titan Text G1 Lite': ['amazon.titan-text-lite-v1'],
  'Amazon Rerank v1': ['amazon.rerank-v1'],
  Claude: [],
  'Claude 2.1': ['anthropic.claude-v2:1'],
  'Claude 2.0': ['anthropic.claude-v2:0', 'anthropic.claude-v2'],
  'Cohere Embed 3 Model - English': ['cohere.embed-english-v3'],
  'Cohere Embed Model 3 - Multilingual': ['cohere.embed-multilingual-v3'],
  'Cohere Embed 4 Model': ['cohere.embed-v4'],
  'Cohere Generate Model - Command': ['cohere.command-text-v14'],
  'Cohere Generate Model - Command-Light': ['cohere.command-light-text-v14'],
  'Jurassic-2 Mid': ['ai21.j2-mid-v1'],
  'Jurassic-2 Ultra': ['ai21.j2-ultra-v1'],
  'Mistral Large': ['mistral.mistral-large-2402-v1'],
  'Mistral Large 2407': ['mistral.mistral-large-2407-v1'],
  'Mistral Small': ['mistral.mistral-small-2402-v1'],
  'Mistral Large 3': ['mistral.mistral-large-3-675b-instruct'],
  'Ministral 3B 3.0': ['mistral.ministral-3-3b-instruct'],
  'Ministral 8B 3.0': ['mistral.ministral-3-8b-instruct'],
  'Ministral 14B 3.0': ['mistral.ministral-3-14b-instruct'],
  'Magistral Small 1.2': ['mistral.magistral-small-2509'],
  'Voxtral Mini 1.0': ['mistral.voxtral-mini-3b-2507'],
  'Voxtral Small 1.0': ['mistral.voxtral-small-24b-2507'],
  'Pixtral Large': ['mistral.pixtral-large-2502-v1'],
  'Pixtral Large 25.02': ['mistral.pixtral-large-2502-v1'],
  Devstral: ['mistral.devstral-2-123b'],
  'Llama 2 Chat 13B': ['meta.llama2-13b-chat-v1'],
  'Llama 2 Chat 70B': ['meta.llama2-70b-chat-v1'],
  'Nemotron Nano 2': ['nvidia.nemotron-nano-9b-v2'],
  'Nemotron Nano 2 VL': ['nvidia.nemotron-nano-12b-v2'],
  'Nemotron Nano 12B v2 VL BF16': ['nvidia.nemotron-nano-12b-v2'],
  'Nemotron 3 Nano 30B A3B': ['nvidia.nemotron-nano-3-30b'],
  'Nemotron 3 Super 120B A12B': ['nvidia.nemotron-super-3-120b'],
  'Stable Diffusion 3 Large v1.0': ['stability.sd3-large-v1'],
  'Stable Diffusion 3.5 Large v1.0': ['stability.sd3-5-large-v1'],
  'Stable Image Core': ['stability.stable-image-core-v1'],
  'Stable Image Core v1.0': ['stability.stable-image-core-v1'],
  'Stable Image Ultra': ['stability.stable-image-ultra-v1'],
  'Stable Image Ultra v1.0': ['stability.stable-image-ultra-v1'],
};

const PROVIDERS = [
  'amazon',
  'anthropic',
  'ai21',
  'cohere',
  'deepseek',
  'google',
  'luma',
  'meta',
  'minimax',
  'mistral',
  'moonshotai',
  'nvidia',
  'openai',
  'qwen',
  'stability',
  'twelvelabs',
  'writer',
  'xai',
  'zai',
];

/** A name of the price list, taken apart. */
export interface ListedName {
  /** Of several, every one is meant: AWS has ids that cost alike under one name. None if nobody knows. */
  readonly models: readonly string[];
  /** The name says that the model runs at optimised latency. */
  readonly isOptimized: boolean;
}

/** Finds the models of `ids` (without geographies) that a name means. */
export function indexListedNames(ids: readonly string[]): (name: string) => ListedName {
  const known = new Set(ids);
  const byKey = new Map<string, Set<string>>();
  const add = (key: string, id: string): void => void (byKey.get(key) ?? byKey.set(key, new Set()).get(key))?.add(id);
  // What is no model (guardrails) has no provider.
  const named = ids.filter((id) => id.includes('.'));
  for (const id of named) for (const key of keysOfId(id)) add(key, id);
  const aliases = new Map(
    Object.entries(ALIASES).map(([name, starts]) => [
      keyOf(name),
      ids.filter((id) => starts.some((start) => id === start || id.startsWith(`${start}:`))),
    ]),
  );
  const find = (name: string): ListedName => {
    const plain = name.replace(EDITION, '').replace(OPTIMIZED, ' ').trim();
    const isOptimized = OPTIMIZED.test(name);
    if (known.has(plain)) return { models: [plain], isOptimized };
    const keys = [keyOf(plain), keyOf(withoutProvider(plain))];
    const alias = keys.map((key) => aliases.get(key)).find((listed) => listed !== undefined);
    const found = alias ?? [...(keys.map((key) => byKey.get(key)).find((keyed) => keyed !== undefined) ?? [])];
    return { models: alias !== undefined || isOneModel(found) ? found : [], isOptimized };
  };
  // A list has hundreds of rows of one model.
  const found = new Map<string, ListedName>();
  return (name) => {
    const listed = found.get(name) ?? find(name);
    found.set(name, listed);
    return listed;
  };
}

/** An id as names may write it: with and without the provider, and without its version and date. */
function keysOfId(id: string): string[] {
  const [provider = '', ...rest] = id.split('.');
  const name = rest
    .join('.')
    .replace(VERSION, '')
    .replace(/-1$/, (end) => (/-1:\d+$/.test(id) ? '' : end));
  const undated = name.replace(/-20\d{6}(?=-|$)/, '');
  return [...new Set([keyOf(undated), keyOf(`${provider} ${undated}`)])];
}

/** Letters in their order, then numbers in theirs; a zero tells nothing (`2.0`). */
function keyOf(name: string): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/\br\s?\+/g, 'r plus')
    .replaceAll(/\b(2\d)\.(\d\d)\b/g, '$1$2')
    .replaceAll(/[^a-z0-9]+/g, ' ')
    .replaceAll(EMPTY_WORDS, ' ');
  const letters = plain.replaceAll(/[^a-z]/g, '');
  const numbers = (plain.match(/\d+/g) ?? []).map(Number).filter((number) => number !== 0);
  return `${letters}|${numbers.join(',')}`;
}

function withoutProvider(name: string): string {
  const [first = '', ...rest] = name.split(/[\s.]/);
  return PROVIDERS.includes(first.toLowerCase()) ? rest.join(' ') : name;
}

/** Ids of one model under two endpoints or two owners' names differ by what stands around the same name. */
function isOneModel(ids: readonly string[]): boolean {
  return new Set(ids.map((id) => keysOfId(id)[0])).size === 1 && new Set(ids.map(dateOf)).size === 1;
}

const dateOf = (id: string): string | undefined => /-(20\d{6})(?:-|:|$)/.exec(id)?.[1];
