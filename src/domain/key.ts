/**
 * A virtual key at rest and what it may do. Types only. Times are epoch milliseconds, money is whole nano-dollars
 * (USD).
 */
import type { Calendar } from '../lib/calendar.ts';
import type { InferenceProfiles } from './inference-profile.ts';
import type { ModelAliases } from './model-alias.ts';

/** What a key may do. A limit that is undefined does not exist; an empty list allows everything. */
export interface KeyPolicy {
  /** Glob patterns (`*` any characters) of model names; see `admission/models.ts`. */
  readonly models: readonly string[];
  /** `inference`: model calls alone. `default`: also agents, and what only reads. `all`: everything. */
  readonly scope: 'inference' | 'default' | 'all';
  /** Glob patterns of region names. */
  readonly regions: readonly string[];
  /** Names of upstreams; with several ways to Bedrock, it may use these only. */
  readonly upstreams: readonly string[];
  readonly budget: Budget | undefined;
  /** Whether a key with a budget may use what has no known price. */
  readonly allowUnpriced: boolean;
  readonly requestsPerMinute: number | undefined;
  readonly tokensPerMinute: number | undefined;
  readonly maxParallel: number | undefined;
  /** Names of its own for models. No limit: `models` judges the model behind a name. */
  readonly modelAliases: ModelAliases;
  /** Whose AWS credentials sign its requests, in place of the proxy's own. No limits, either. */
  readonly profile: string | undefined;
  readonly roleArn: string | undefined;
  readonly inferenceProfiles: InferenceProfiles;
}

/** How often a budget begins anew; never if it has neither a length nor a calendar. */
export interface BudgetWindows {
  /** Length of windows that follow each other from the moment the budget was given them. */
  readonly windowMs: number | undefined;
  /** Days, weeks or months of a time zone; then there is no length. */
  readonly calendar?: Calendar | undefined;
  /** LiteLLM's name for them if they were asked for by one, such as `1mo`: who asked reads it again. */
  readonly givenAs?: string | undefined;
}

/** What a key may spend. Money is whole nano-dollars. */
export interface Budget extends BudgetWindows {
  readonly limitNanoUsd: number;
  /** When it was given its windows: one of them begins then. */
  readonly anchorMs: number;
}

/** A virtual key at rest: never the key itself. */
export interface VirtualKeyRow {
  /** `vk_` and 16 lower-case characters; safe to show. */
  readonly id: string;
  readonly alias: string | undefined;
  /** The name of the command that `exec` made it for; undefined for a key that somebody asked for. */
  readonly execCommand?: string | undefined;
  /** Hex SHA-256 of the key. */
  readonly keySha256: string;
  /** The last four characters of the key, for people to recognise it. */
  readonly lastFour: string;
  /** 20 characters, upper case and digits; AWS's own ids never start like ours. */
  readonly accessKeyId: string;
  /** The key itself, sealed with AES-256-GCM under the server secret: SigV4 verification needs it again. */
  readonly sealedKey: Buffer;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly lastUsedAtMs: number | undefined;
  /** From here on it is over, whatever the clock does later. */
  readonly revokedAtMs: number | undefined;
  /** Set if it was rotated with a grace time: it is over as soon as the clock says so. */
  readonly endsAtMs: number | undefined;
  /** Set if it was given a time to live: it is over as soon as the clock says so. */
  readonly expiresAtMs: number | undefined;
  /** Set while it is blocked. */
  readonly blockedAtMs: number | undefined;
  readonly policy: KeyPolicy;
  /** Names and values that every ledger row of the key carries. */
  readonly tags: Readonly<Record<string, string>>;
  readonly note: string | undefined;
  /** What a caller of the admin API gets back unchanged; a JSON object. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** A key as it is stored first. */
export type NewVirtualKeyRow = Omit<
  VirtualKeyRow,
  'lastUsedAtMs' | 'revokedAtMs' | 'endsAtMs' | 'blockedAtMs' | 'updatedAtMs'
>;

/** What can be changed of a key. A field that is absent stays; `undefined` as a value removes it. */
export type KeyChanges = Partial<
  Pick<VirtualKeyRow, 'alias' | 'expiresAtMs' | 'blockedAtMs' | 'policy' | 'tags' | 'note' | 'metadata'>
>;

/** Names of keys; a key that has one of them matches. */
export interface KeyNames {
  readonly ids?: readonly string[] | undefined;
  /** Several keys may have one alias: of those only one is active. */
  readonly aliases?: readonly string[] | undefined;
  /** Not empty. */
  readonly aliasPrefix?: string | undefined;
}
