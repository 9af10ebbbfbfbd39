/**
 * The admin API, as the page calls it: with the master key, which is kept in this tab's memory alone and is gone when
 * the tab is.
 */
import { signal } from '@preact/signals';

/** Undefined: nobody has given it yet. */
export const masterKey = signal<string | undefined>(undefined);

/** A key as `GET /key/list` shows it: what of it the page reads. */
export interface KeyRow {
  readonly token: string;
  readonly key_id: string;
  readonly key_name: string;
  readonly key_alias: string | null;
  readonly status: 'active' | 'ending' | 'expired' | 'blocked' | 'revoked';
  readonly expires: string | null;
  readonly models: readonly string[];
  readonly max_budget: number | null;
  readonly budget_duration: string | null;
  readonly budget_reset_at: string | null;
  readonly spend: number;
  readonly total_spend: number;
  readonly rpm_limit: number | null;
  readonly tpm_limit: number | null;
  readonly max_parallel_requests: number | null;
  readonly note: string | null;
  readonly created_at: string;
  readonly last_used_at: string | null;
}

/** What `POST /key/generate` and `/key/regenerate` tell once. */
export interface MadeKey extends KeyRow {
  readonly key: string;
  readonly access_key_id: string;
}

/** Fields of `POST /key/generate` and `/key/update`. Null takes a limit away. */
export interface KeyFields {
  readonly key_alias?: string | null;
  readonly models?: readonly string[] | null;
  readonly max_budget?: number | null;
  readonly budget_duration?: string | null;
  readonly rpm_limit?: number | null;
  readonly tpm_limit?: number | null;
  readonly max_parallel_requests?: number | null;
  readonly duration?: string | null;
  readonly note?: string | null;
}

/** A page of keys. */
export interface KeyList {
  readonly keys: readonly KeyRow[];
  readonly total_count: number;
  readonly current_page: number;
  readonly total_pages: number;
}

/** A refusal of the admin API, or a server that does not respond (`status` 0). */
export class AdminFailure extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** What a call may bring. `key`: in place of the master key that was given. */
interface AdminCall {
  readonly body?: unknown;
  readonly key?: string;
}

/** Throws AdminFailure. */
export async function callAdmin<Result>(
  method: 'GET' | 'POST',
  path: string,
  { body, key = masterKey.value ?? '' }: AdminCall = {},
): Promise<Result> {
  const headers: Record<string, string> = { authorization: `Bearer ${key}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const response = await fetch(path, init).catch(() => {
    throw new AdminFailure('The proxy does not respond.', 0);
  });
  const said: unknown = await response.json().catch(() => undefined);
  if (response.ok) return said as Result;
  throw new AdminFailure(readMessage(said) ?? `The proxy responded with ${response.status}.`, response.status);
}

function readMessage(said: unknown): string | undefined {
  if (typeof said !== 'object' || said === null || !('error' in said)) return undefined;
  const { error } = said;
  if (typeof error !== 'object' || error === null || !('message' in error)) return undefined;
  return typeof error.message === 'string' ? error.message : undefined;
}

/** The words of whatever was thrown. */
export function wordsOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** By its alias, else by its last four characters. */
export function nameOfKey({ key_alias: alias, key_name: name }: Pick<KeyRow, 'key_alias' | 'key_name'>): string {
  return alias ?? name;
}
