/**
 * What one server of the offline Bedrock remembers between calls: prompts that it has cached, and the asynchronous
 * invocations that were started. All else of a reply follows from its call alone.
 */
import type { JsonObject } from '../../lib/json.ts';
import type { NamedModel } from './models.ts';
import { PromptCache, type PromptSegment, type PromptTokens } from './prompt-cache.ts';

/** An asynchronous invocation that was started. */
export interface AsyncInvocation {
  readonly invocationArn: string;
  readonly modelArn: string;
  readonly clientRequestToken: string | undefined;
  readonly outputDataConfig: JsonObject;
  readonly submittedAtMs: number;
}

/** The memory of one server. */
export interface OfflineState {
  readonly prompts: PromptCache;
  /** By ARN, the oldest first. */
  readonly invocations: Map<string, AsyncInvocation>;
}

/** Of models that an ARN does not name. */
const DEFAULT_CACHE_TOKENS = 1024;

/** The memory of a server that has not been called yet. */
export function createOfflineState(): OfflineState {
  return { prompts: new PromptCache(), invocations: new Map() };
}

/** The tokens of a prompt, with what the model's cache read and wrote of it. */
export function useCacheOf(
  { state, region, nowMs }: { readonly state: OfflineState; readonly region: string; readonly nowMs: number },
  model: NamedModel,
  segments: readonly PromptSegment[],
): PromptTokens {
  return state.prompts.use(segments, {
    scope: `${region} ${model.id}`,
    leastTokens: model.listed?.cacheTokens ?? DEFAULT_CACHE_TOKENS,
    nowMs,
  });
}
