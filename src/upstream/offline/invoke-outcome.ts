/**
 * What InvokeModel asks of the models of each shape, and what they give it, so that the shapes need not know who calls
 * them.
 */
import type { ComposedResponse, Turn } from './compose.ts';
import type { PromptSegment, PromptTokens } from './prompt-cache.ts';

/** What a shape knows beside the body. */
export interface InvokeContext {
  readonly modelId: string;
  /** Counts the tokens of a prompt, with what the model's cache reads and writes of it. */
  readonly useCache: (segments: readonly PromptSegment[]) => PromptTokens;
  readonly respond: (turn: Turn) => ComposedResponse;
}

/** What a model returns for a body, whole and streamed; or why it refuses, as a validation error's message. */
export type InvokeOutcome =
  | { readonly problem: string }
  | {
      readonly content: object;
      /** The contents of the stream's chunks; undefined if the model does not stream. */
      readonly streamed: readonly object[] | undefined;
      readonly tokens: PromptTokens;
      readonly outputTokens: number;
      readonly latencyMs: number;
    };

/** The tokens of a prompt that no cache keeps. */
export function uncached(input: number): PromptTokens {
  return { input, read: 0, written: { '5m': 0, '1h': 0 } };
}
