/**
 * Which models a key may use, however a request names them. Decides over names that are handed in. A request is refused
 * if its models are not certain.
 */
import { ProxyError } from '../lib/errors.ts';
import { isIdentifier, type ModelName, parseModelName } from '../domain/model-name.ts';
import type { KeyPolicy } from '../domain/key.ts';
import { printable } from '../lib/printable.ts';
import { matchesAnyGlob, matchesEverything } from '../lib/glob.ts';

/**
 * The models of a profile, as ARNs of foundation models; undefined if AWS does not say (no such profile, no permission,
 * no connection), and if clients name too many new ones. `identifier` is an ARN or an id. Never throws.
 */
export type FindProfileModels = (identifier: string, region: string) => Promise<readonly string[] | undefined>;

/** What a request says of models. */
export interface NamedModels {
  /** Every one it names, in path and body, as it names it, percent-decoded. */
  readonly names: readonly string[];
  /** Why these may not be all that run; undefined if they are. A sentence without its full stop. */
  readonly ambiguity: string | undefined;
  readonly region: string;
}

const MAX_PATTERNS_SHOWN = 12;

/** Whether the list leaves some model out; only then is there anything to check. */
export function limitsModels({ models }: Pick<KeyPolicy, 'models'>): boolean {
  return models.length > 0 && !models.map(bareName).some(matchesEverything);
}

/**
 * Throws ERR_MODEL_NOT_ALLOWED if the key's list does not hold every model that the request names, or if there may be
 * others. An application inference profile is allowed by a pattern of its ARN or id, or if all models behind it are:
 * only then is there something to wait for, and the promise rejects with the same error.
 */
export function checkModels(
  policy: Pick<KeyPolicy, 'models'>,
  { names, ambiguity, region }: NamedModels,
  findProfileModels: FindProfileModels,
): Promise<void> | undefined {
  if (!limitsModels(policy)) return undefined;
  if (ambiguity !== undefined) throw refusal(`${ambiguity}, and this key may use certain models only.`, policy);
  const patterns = policy.models.map(bareName);
  const others = names.map(parseModelName).filter((name) => !isNamed(name, patterns));
  if (others.length === 0) return undefined;
  return checkProfiles(policy, others, (identifier) => findProfileModels(identifier, region));
}

/** Whether the key's list holds a model by name; what stands behind a profile is not looked up. */
export function mayUseModel(policy: Pick<KeyPolicy, 'models'>, name: string): boolean {
  return !limitsModels(policy) || isNamed(parseModelName(name), policy.models.map(bareName));
}

async function checkProfiles(
  policy: Pick<KeyPolicy, 'models'>,
  names: readonly ModelName[],
  find: (identifier: string) => ReturnType<FindProfileModels>,
): Promise<void> {
  const patterns = policy.models.map(bareName);
  for (const { raw, lookup } of names) {
    if (lookup === undefined) throw refusal(`This key may not use the model ${printable(raw)}.`, policy);
    const behind = await find(lookup);
    if (behind === undefined || behind.length === 0)
      throw refusal(
        `This key may not use ${printable(raw)}: which model it stands for could not be looked up.`,
        policy,
      );
    const foreign = behind.find((model) => !isNamed(parseModelName(model), patterns));
    if (foreign !== undefined)
      throw refusal(
        `This key may not use ${printable(raw)}, which stands for the model ${printable(foreign)}.`,
        policy,
      );
  }
}

/** A name that is neither an id nor an ARN is allowed by its equal alone. */
function isNamed(name: ModelName, patterns: readonly string[]): boolean {
  if (!isIdentifier(name.raw)) return patterns.includes(name.raw) && !name.raw.includes('*');
  return name.forms.some((form) => matchesAnyGlob(patterns, form));
}

/** Patterns are often copied from clients that put a provider in front. */
function bareName(pattern: string): string {
  return pattern.startsWith('bedrock/') ? pattern.slice('bedrock/'.length) : pattern;
}

function refusal(message: string, { models }: Pick<KeyPolicy, 'models'>): ProxyError {
  const shown = models.slice(0, MAX_PATTERNS_SHOWN).join(', ');
  return new ProxyError('ERR_MODEL_NOT_ALLOWED', message, {
    hint: `It may use: ${shown}${models.length > MAX_PATTERNS_SHOWN ? ', …' : ''}.`,
  });
}
