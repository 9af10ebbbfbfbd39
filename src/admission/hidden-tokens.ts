/**
 * What a model reads or does besides the text of the body because of a few words in it: the instructions that a
 * provider adds for tools, and the summary of a conversation that grew too long, for which all of it is read once more.
 * Pure.
 */
import type { JsonScalar } from '../protocol/json-scan.ts';

/**
 * What stands before the tools: 346 tokens with Claude 4, 530 with Claude 3 Opus, less elsewhere
 * (https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview).
 */
const TOKENS_FOR_TOOLS = 600;
/** A tool that the provider describes: 245 tokens (bash) to 735 and 499 more (computer). */
const TOKENS_PER_KNOWN_TOOL = 1_300;

/** The body of a provider, by itself or within Converse's. */
const PROVIDER = ['', 'additionalModelRequestFields.'];
const TOOLS: ReadonlySet<string> = new Set([...PROVIDER.map((body) => `${body}tools[]`), 'toolConfig.tools[]']);
const TYPES: ReadonlySet<string> = new Set(PROVIDER.map((body) => `${body}tools[].type`));
/** Tools that the request itself describes. */
const OWN_TOOL = /^(?:custom|function)$/;
/** Anthropic's edits of a conversation, and OpenAI's. */
const EDITS: ReadonlySet<string> = new Set([
  ...PROVIDER.map((body) => `${body}context_management.edits[].type`),
  'context_management[].type',
]);
const COMPACTION = /^compact/;

/** Where to look, as `JsonPaths` reads it. */
export const HIDDEN_PATHS: readonly string[] = [...TOOLS, ...TYPES, ...EDITS];

/** State: what was found so far. */
export class HiddenTokens {
  #hasTools = false;
  #knownTools = 0;
  /** How often the model may read its input, and write as much as it may write. */
  turns = 1;

  /** An object or a list begins at one of HIDDEN_PATHS. */
  open(path: string): void {
    this.#hasTools ||= TOOLS.has(path);
  }

  /** A value stands at one of HIDDEN_PATHS. */
  take(path: string, value: JsonScalar): void {
    if (typeof value !== 'string') return;
    if (TYPES.has(path) && !OWN_TOOL.test(value)) this.#knownTools += 1;
    if (EDITS.has(path) && COMPACTION.test(value)) this.turns = 2;
  }

  /** Tokens of input that are not in the body. */
  get inputTokens(): number {
    return (this.#hasTools ? TOKENS_FOR_TOOLS : 0) + this.#knownTools * TOKENS_PER_KNOWN_TOOL;
  }
}
