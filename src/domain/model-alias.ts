/**
 * Names that the owner gives to models, for the whole proxy or for one key: what stands in the path of a request is
 * replaced by the model behind it. Pure.
 */
import { isIdentifier } from './model-name.ts';

/** Each name with the id or the ARN of the model that is called. What a name stands for is not looked up again. */
export type ModelAliases = Readonly<Record<string, string>>;

/** More are none that anybody reads. */
const MAX_ALIASES = 200;
/** No star: a name is itself, and no pattern. No comma and no `=`, which part names in flags. */
const NAME_SHAPE = /^[A-Za-z0-9][A-Za-z0-9._:/@+[\]-]{0,255}$/;
/** A provider in front, as LiteLLM's users write it. */
const PROVIDER = 'bedrock/';

/** An alias as it is written in one piece: `claude=us.anthropic.claude-sonnet-4-5-20250929-v1:0`. */
export function splitModelAlias(text: string): readonly [name: string, model: string] {
  const at = text.indexOf('=');
  return at === -1 ? [text, ''] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

/** The aliases of these pairs, or what is wrong with them, to follow the name of a flag or a field. */
export function readModelAliases(
  pairs: readonly (readonly [name: string, model: string])[],
): { readonly aliases: ModelAliases } | { readonly problem: string; readonly given: string } {
  const aliases = new Map<string, string>();
  for (const [name, given] of pairs) {
    const model = given.startsWith(PROVIDER) ? given.slice(PROVIDER.length) : given;
    const refused = (problem: string) => ({ problem, given: given === '' ? name : `${name}=${given}` });
    if (!NAME_SHAPE.test(name)) return refused('must have names of up to 256 letters, digits and ._:/@+[]-');
    if (!isIdentifier(model)) {
      return refused('must be a name and the id or ARN of a model, such as fast=amazon.nova-lite-v1:0');
    }
    if (aliases.has(name)) return refused('must name each model once');
    aliases.set(name, model);
    if (aliases.size > MAX_ALIASES) return refused(`must be at most ${MAX_ALIASES} aliases`);
  }
  return { aliases: Object.fromEntries(aliases) };
}

/** The model behind a name, by the first of these that has it. */
export function findAliasedModel(name: string, lists: readonly ModelAliases[]): string | undefined {
  const aliases = lists.find((each) => Object.hasOwn(each, name));
  return aliases?.[name];
}
