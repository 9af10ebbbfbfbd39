/** A virtual key as stores keep it and as the rest of the program knows it; and what stores refuse, in one wording. */
import type { KeyPolicy, NewVirtualKeyRow, VirtualKeyRow } from '../domain/key.ts';
import { makeBudget } from '../keys/budget.ts';
import { EMPTY_POLICY } from '../keys/limits.ts';
import { ProxyError } from '../lib/errors.ts';

/** A row of virtual_keys as a database gives it. */
export interface KeyRecord {
  readonly id: string;
  readonly alias: string | null;
  readonly key_sha256: string;
  readonly last_four: string;
  readonly access_key_id: string;
  readonly sealed_key: Buffer;
  readonly created_at_ms: number;
  readonly updated_at_ms: number | null;
  readonly last_used_at_ms: number | null;
  readonly revoked_at_ms: number | null;
  readonly ends_at_ms: number | null;
  readonly expires_at_ms: number | null;
  readonly blocked_at_ms: number | null;
  readonly policy: string;
  readonly tags: string;
  readonly note: string | null;
  readonly metadata: string;
  readonly exec_command: string | null;
}

/** The columns that can be changed, for a statement; JSON as text. */
export function toChangeable(
  row: Pick<NewVirtualKeyRow, 'alias' | 'expiresAtMs' | 'policy' | 'tags' | 'note' | 'metadata'>,
): Record<'alias' | 'expiresAtMs' | 'policy' | 'tags' | 'note' | 'metadata', string | number | null> {
  return {
    alias: row.alias ?? null,
    expiresAtMs: row.expiresAtMs ?? null,
    policy: JSON.stringify(row.policy),
    tags: JSON.stringify(row.tags),
    note: row.note ?? null,
    metadata: JSON.stringify(row.metadata),
  };
}

/** The record as the rest of the program knows it. */
export function toKeyRow(record: KeyRecord): VirtualKeyRow {
  return {
    id: record.id,
    alias: record.alias ?? undefined,
    keySha256: record.key_sha256,
    lastFour: record.last_four,
    accessKeyId: record.access_key_id,
    sealedKey: record.sealed_key,
    createdAtMs: record.created_at_ms,
    updatedAtMs: record.updated_at_ms ?? record.created_at_ms,
    lastUsedAtMs: record.last_used_at_ms ?? undefined,
    revokedAtMs: record.revoked_at_ms ?? undefined,
    endsAtMs: record.ends_at_ms ?? undefined,
    expiresAtMs: record.expires_at_ms ?? undefined,
    blockedAtMs: record.blocked_at_ms ?? undefined,
    policy: toPolicy(JSON.parse(record.policy) as Partial<KeyPolicy>),
    tags: JSON.parse(record.tags) as Record<string, string>,
    note: record.note ?? undefined,
    metadata: JSON.parse(record.metadata) as Record<string, unknown>,
    ...(record.exec_command === null ? {} : { execCommand: record.exec_command }),
  };
}

/** JSON has no undefined, and an older row lacks the limits that came after it. */
function toPolicy(kept: Partial<KeyPolicy>): KeyPolicy {
  return { ...EMPTY_POLICY, ...kept, budget: kept.budget === undefined ? undefined : makeBudget(kept.budget) };
}

/** ERR_BAD_REQUEST: an active key has that alias. */
export function aliasTaken(alias: string | undefined): ProxyError {
  return new ProxyError('ERR_BAD_REQUEST', `There is an active key with the alias "${alias}".`, {
    hint: 'Choose another alias, or revoke that key first.',
  });
}

/** ERR_BAD_REQUEST: what has an end already cannot be rotated. */
export function keyHasEnded(id: string): ProxyError {
  return new ProxyError('ERR_BAD_REQUEST', `The key ${id} is revoked or rotated already.`, {
    hint: 'See `bedrock-proxy key list`.',
  });
}
