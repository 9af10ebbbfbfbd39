/**
 * The flags of `key generate` and `key update`, read: what a new key may do, and what changes of an old one. Those of
 * its limits are read by their table, `keys/limits.ts`. Pure: the clock is handed in; every mistake is ERR_BAD_OPTION
 * naming its flag.
 */
import { EMPTY_POLICY, readPolicyFlags } from '../../keys/limits.ts';
import { parseExpiry, parseNote, parseTags } from '../../keys/policy.ts';
import { parseAlias } from '../../keys/mint.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { ExecLimitInput, LimitInput } from './input.ts';
import type { KeyChanges, KeyPolicy, VirtualKeyRow } from '../../domain/key.ts';

const CODE = 'ERR_BAD_OPTION';

/** Everything about a new key that its maker can say. */
export type NewKeyLimits = Pick<VirtualKeyRow, 'alias' | 'expiresAtMs' | 'policy' | 'tags' | 'note'>;

/** What `key generate` was asked for. */
export function readNewKey(flags: LimitInput, nowMs: number): NewKeyLimits {
  const { alias, expires, tag, note } = flags;
  const tags = tag === undefined ? {} : parseTags(tag, '--tag', CODE);
  const empty = findEmptyTag(tag);
  if (empty !== undefined) throw new ProxyError(CODE, `--tag ${empty} has no value.`);
  return {
    alias: alias === undefined ? undefined : parseAlias(alias, '--alias', CODE),
    expiresAtMs: expires === undefined ? undefined : readExpiry(expires, nowMs),
    policy: readPolicyFlags(flags, EMPTY_POLICY, nowMs) ?? EMPTY_POLICY,
    tags,
    note: note === undefined ? undefined : readNote(note),
  };
}

/**
 * What `exec` was asked for of the key that it makes; undefined if it was asked for nothing. Throws beside `--key`,
 * which lends a key as it is.
 */
export function readExecLimits(flags: ExecLimitInput, nowMs: number): NewKeyLimits | undefined {
  const { expires, tag, key } = flags;
  const terms = readNewKey(
    {
      ...flags,
      // That of the proxy.
      profile: undefined,
      allowUnpriced: flags['allowUnpriced'] === true || undefined,
      expires,
      tag,
      alias: undefined,
      note: undefined,
      json: false,
    },
    nowMs,
  );
  if (expires === undefined && tag === undefined && terms.policy === EMPTY_POLICY) return undefined;
  if (key === undefined) return terms;
  throw new ProxyError(CODE, 'Limits are for a new key, and --key lends one that has its own.', {
    hint: 'Leave out --key, or change that key with `bedrock-proxy key update`.',
  });
}

/** What `key update` was asked to change of that key. Throws where that is nothing. */
export function readKeyChanges(row: VirtualKeyRow, flags: LimitInput, nowMs: number): KeyChanges {
  const { alias, expires, tag, note } = flags;
  const policy = readPolicyFlags(flags, row.policy, nowMs);
  const changes: KeyChanges = {
    ...(alias === undefined ? {} : { alias: parseAlias(alias, '--alias', CODE) }),
    ...(expires === undefined ? {} : { expiresAtMs: readExpiry(expires, nowMs) }),
    ...(tag === undefined ? {} : { tags: changeTags(row.tags, tag) }),
    ...(note === undefined ? {} : { note: readNote(note) }),
    ...(policy === undefined ? {} : { policy }),
  };
  if (Object.keys(changes).length > 0) return changes;
  throw new ProxyError(CODE, 'Nothing is to change.', {
    hint: 'Name at least one flag of `bedrock-proxy key update --help`.',
  });
}

/** Patterns that look as if they were meant for more than one model: no star, and not the form of an id or ARN. */
export function findNarrowPatterns({ models }: KeyPolicy): readonly string[] {
  return models.filter((pattern) => !/[*.:]/.test(pattern) && !/^[a-z0-9]{12}$/.test(pattern));
}

function readExpiry(value: string, nowMs: number): number | undefined {
  return value === 'never' || value === 'none' ? undefined : parseExpiry(value, '--expires', CODE, nowMs);
}

function readNote(value: string): string | undefined {
  return value === '' ? undefined : parseNote(value, '--note', CODE);
}

/** `name=value` adds or replaces, `name=` takes away, the others stay. */
function changeTags(old: Readonly<Record<string, string>>, tags: readonly string[]): Readonly<Record<string, string>> {
  const named = parseTags(tags, '--tag', CODE);
  const gone = new Set(tags.flatMap((tag) => (/^[^=]+=$/.test(tag) ? [tag.slice(0, -1)] : [])));
  const merged = Object.entries({ ...old, ...named }).filter(([name]) => !gone.has(name));
  return parseTags(Object.fromEntries(merged), '--tag', CODE);
}

function findEmptyTag(tags: readonly string[] = []): string | undefined {
  return tags.find((tag) => /^[^=]+=$/.test(tag));
}
