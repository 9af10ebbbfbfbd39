/**
 * Reads LiteLLM's fields of a key as changes of our row. Pure. LiteLLM has dollars as floats, our rows have whole
 * nano-dollars.
 */
import { EMPTY_POLICY } from '../keys/limits.ts';
import { parseExpiry, parseNote, parseTags } from '../keys/policy.ts';
import { parseAlias } from '../keys/mint.ts';
import type { KeyChanges, KeyPolicy, VirtualKeyRow } from '../domain/key.ts';
import { readBudgetFields } from './budget-fields.ts';
import { asksForNothing } from './endpoint.ts';
import { AdminError, readField } from './envelope.ts';
import { FIELD_TAGS } from './key-row.ts';
import { readLimitFields } from './policy-fields.ts';
import type { KeyFields } from './schemas.ts';

const CODE = 'ERR_BAD_REQUEST';
const MAX_METADATA_BYTES = 16 * 1024;
/** With these LiteLLM restricts a key from within its metadata. Kept but not obeyed, they would pretend to a limit. */
const METADATA_LIMITS = [
  'guardrails',
  'policies',
  'model_rpm_limit',
  'model_tpm_limit',
  'enforced_params',
  'allowed_passthrough_routes',
  'denied_passthrough_routes',
];

/** What the fields of a request change of a key, or of none. */
export type FieldChanges = Omit<KeyChanges, 'blockedAtMs'>;

/** A key before the change; a new one has nothing yet. */
export type KeyBefore = Pick<VirtualKeyRow, 'policy' | 'tags'>;

/** A key before its first change: no limits, no tags. */
export const NEW_KEY: KeyBefore = { policy: EMPTY_POLICY, tags: {} };

/** Only what the request names; null takes away. Throws AdminError naming the field. */
export function readChanges(fields: KeyFields, before: KeyBefore, nowMs: number): FieldChanges {
  const tags = readTags(fields, before.tags);
  return {
    ...readIf(fields, 'key_alias', (value) => ({ alias: parseAlias(value, 'key_alias', CODE) }), { alias: undefined }),
    ...(fields.duration === undefined ? {} : { expiresAtMs: readExpiry(fields.duration, nowMs) }),
    ...readIf(fields, 'note', (value) => ({ note: parseNote(value, 'note', CODE) }), { note: undefined }),
    ...readIf(fields, 'metadata', (value) => ({ metadata: readMetadata(value) }), { metadata: {} }),
    ...(tags === undefined ? {} : { tags }),
    ...readPolicy(fields, before.policy, nowMs),
  };
}

/** Nothing for an absent field, `taken` for null and for empty text, and what `read` makes of everything else. */
function readIf<Name extends keyof KeyFields, Change>(
  fields: KeyFields,
  name: Name,
  read: (value: NonNullable<KeyFields[Name]>) => Change,
  taken: Change | Record<string, undefined>,
): Partial<Change> {
  const value = fields[name];
  if (value === undefined) return {};
  return (
    value === null || value === '' ? taken : readField(name, () => read(value as NonNullable<KeyFields[Name]>))
  ) as Change;
}

/** LiteLLM takes -1 for "for ever". */
function readExpiry(duration: string | null, nowMs: number): number | undefined {
  if (duration === null || duration === '-1') return undefined;
  return readField('duration', () => parseExpiry(duration, 'duration', CODE, nowMs));
}

function readPolicy(fields: KeyFields, before: KeyPolicy, nowMs: number): { readonly policy?: KeyPolicy } {
  const budget = readBudgetFields(fields, before.budget, nowMs);
  const takesAway = impliesDefaultScope(fields) && (fields.scope ?? before.scope) === 'all';
  const policy = {
    ...readLimitFields(fields),
    ...(takesAway ? { scope: 'default' as const } : {}),
    ...(budget === 'as before' ? {} : { budget }),
  };
  return Object.keys(policy).length === 0 ? {} : { policy: { ...before, ...policy } };
}

/** Whether LiteLLM's two fields ask for no more than the scope default. They must not contradict `scope`. */
function impliesDefaultScope({ scope, allowed_routes: routes, key_type: keyType }: KeyFields): boolean {
  const foreign = routes?.find((route) => route !== 'llm_api_routes');
  if (foreign !== undefined) {
    throw new AdminError('allowed_routes may hold llm_api_routes only.', {
      param: 'allowed_routes',
      hint: 'It is the scope default; for everything use "scope":"all".',
    });
  }
  const isImplied = (routes?.length ?? 0) > 0 || typeof keyType === 'string';
  if (!isImplied || scope !== 'all') return isImplied;
  throw new AdminError('scope all contradicts allowed_routes or key_type.', { param: 'scope' });
}

function readMetadata(metadata: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const limits = METADATA_LIMITS.filter((name) => Object.hasOwn(metadata, name) && !asksForNothing(metadata[name]));
  if (limits.length > 0) {
    throw new AdminError(`The proxy does not support these limits in metadata: ${limits.join(', ')}.`, {
      param: 'metadata',
    });
  }
  if (Buffer.byteLength(findJson(metadata)) <= MAX_METADATA_BYTES) return metadata;
  throw new AdminError('metadata must be at most 16 KB of JSON.', { param: 'metadata' });
}

/** What is nested too deep to be written again is as bad as what is too long. */
function findJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw new AdminError('metadata is nested too deep.', { param: 'metadata', cause: error });
  }
}

/** All tags after the change; undefined where the request names none. LiteLLM's users also put tags into metadata. */
function readTags(fields: KeyFields, before: VirtualKeyRow['tags']): VirtualKeyRow['tags'] | undefined {
  const inMetadata = fields.metadata?.['tags'];
  const asked = fields.tags === undefined && isTextList(inMetadata) ? inMetadata : fields.tags;
  if (asked === undefined && fields.user_id === undefined && fields.team_id === undefined) return undefined;
  const listed = asked === undefined ? before : readField('tags', () => parseTags(asked ?? [], 'tags', CODE));
  const tags = new Map(Object.entries(listed));
  for (const field of FIELD_TAGS) {
    if (asked !== undefined && tags.has(field)) {
      throw new AdminError(`tags must not hold ${field}: it is a field of its own.`, { param: 'tags' });
    }
    const value = fields[field] === undefined ? before[field] : fields[field];
    tags.delete(field);
    if (value === undefined || value === null || value === '') continue;
    readField(field, () => parseTags({ [field]: value }, field, CODE));
    tags.set(field, value);
  }
  return Object.fromEntries(tags);
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((part) => typeof part === 'string');
}
