/** A doctor beside a cache that goes by AWS's rules: each prompt is sent to both, and its usage is what the cache says. */
import { CacheDoctor, type CacheDiagnosis, type CacheReport } from '../../src/diagnose/cache-doctor.ts';
import { CACHE_FACTS, findCacheFacts } from '../../src/diagnose/cache-facts.ts';
import { segmentsOfMessages } from '../../src/upstream/offline/anthropic-request.ts';
import { segmentsOf } from '../../src/upstream/offline/conversation.ts';
import { PromptCache } from '../../src/upstream/offline/prompt-cache.ts';
import type { ModelPrice } from '../../src/pricing/cost.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import type { Usage } from '../../src/domain/usage.ts';

export const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
export const MINUTE = 60_000;

/** USD per million tokens: 3, 15, 0.3, 3.75, 6. */
export const PRICE: ModelPrice = {
  input: 3_000_000,
  output: 15_000_000,
  cacheRead: 300_000,
  cacheWrite: 3_750_000,
  cacheWrite1h: 6_000_000,
};

export interface SentTurn {
  readonly body: JsonObject | string;
  readonly operation?: string;
  readonly model?: string;
  readonly region?: string;
  readonly caller?: string;
  readonly atMs?: number;
  /** When its response begins; else a second later. */
  readonly begunAtMs?: number;
  /** In place of what the cache says. */
  readonly usage?: Usage;
  readonly status?: number;
  readonly errorMessage?: string;
}

export interface Judged {
  readonly id: string;
  readonly usage: Usage;
  readonly diagnosis: CacheDiagnosis | undefined;
  readonly report: CacheReport | undefined;
}

export class SimulatedCache {
  readonly doctor = new CacheDoctor({ key: Buffer.alloc(32, 7) });
  readonly #cache = new PromptCache();
  #count = 0;

  /** Sends it, and ends it. */
  send(turn: SentTurn): Judged {
    return this.open(turn)();
  }

  /** Sends it; the function ends it. */
  open(turn: SentTurn): () => Judged {
    const { operation = 'Converse', model = SONNET, region = 'us-east-1', caller = 'k', atMs = 0 } = turn;
    const { begunAtMs = atMs + 1_000 } = turn;
    const id = `r${(this.#count += 1)}`;
    const text = typeof turn.body === 'string' ? turn.body : JSON.stringify(turn.body);
    const body = Buffer.from(text);
    this.doctor.sent({ id, caller, scope: { model, region, upstream: '' }, operation, body, sentAtMs: atMs });
    const parsed = JSON.parse(text) as JsonObject;
    const segments = operation === 'Converse' ? segmentsOf(parsed) : segmentsOfMessages(parsed);
    const tokens = this.#cache.use(segments, {
      scope: `${region} ${model}`,
      leastTokens: findCacheFacts(CACHE_FACTS, model)?.minTokens ?? 0,
      nowMs: atMs,
      readyAtMs: begunAtMs,
    });
    const usage = turn.usage ?? {
      inputTokens: tokens.input,
      outputTokens: 10,
      cacheReadTokens: tokens.read,
      cacheWriteTokens: tokens.written['5m'] + tokens.written['1h'],
      cacheWrite1hTokens: tokens.written['1h'],
    };
    return () => {
      this.doctor.begun(id, begunAtMs);
      const { status = 200, errorMessage } = turn;
      const diagnosis = this.doctor.ended(id, { status, errorMessage, usage, price: PRICE });
      return { id, usage, diagnosis, report: this.doctor.verdictOf(id) };
    };
  }
}

/** Some 10 tokens a line, the same for the same name. */
export function longText(name: string, lines = 200): string {
  return Array.from({ length: lines }, (_, index) => `${name} says that rule ${index} holds for all of us.`).join('\n');
}

export const POINT = { cachePoint: { type: 'default' } };

/** A body of Converse: texts and points. */
export function converse(
  system: readonly (string | object)[],
  ...messages: readonly (string | readonly object[])[]
): JsonObject {
  return {
    system: system.map((block) => (typeof block === 'string' ? { text: block } : block)),
    messages: messages.map((content, index) => ({
      role: index % 2 === 0 ? 'user' : 'assistant',
      content: typeof content === 'string' ? [{ text: content }] : content,
    })),
  };
}
