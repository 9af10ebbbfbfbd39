/**
 * What the models of each shape give InvokeModel. A type alone, so that the shapes need not know who calls them.
 */

/** What a model returns for a body, whole and streamed; or why it refuses, as a validation error's message. */
export type InvokeOutcome =
  | { readonly problem: string }
  | {
      readonly content: object;
      /** The contents of the stream's chunks; undefined if the model does not stream. */
      readonly streamed: readonly object[] | undefined;
      readonly inputTokens: number;
      readonly outputTokens: number;
      readonly latencyMs: number;
    };
