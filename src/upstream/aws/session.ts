/**
 * How a role session names its caller, so that CloudTrail, IAM conditions and Cost Explorer tell callers apart: the
 * session name and the session tags of AssumeRole. Pure. What AWS would not take is refused and never replaced: a
 * changed tag could open what it was to close.
 */
import { ProxyError } from '../../lib/errors.ts';
import { findTagProblem, type SessionTag, type SessionTags } from '../../domain/role.ts';

/** Whose request it is. */
export interface SessionCaller {
  /** Of the key; undefined if it has none, and for callers without a key. */
  readonly alias?: string | undefined;
  /** Those of the key itself: nothing that a request says of itself. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** The id of the key, `master` or `anonymous`. */
  readonly id: string;
}

/** Of RoleSessionName: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html. */
const MAX_NAME_LENGTH = 64;
const NAME = /^[\w+=,.@-]{2,64}$/;
const NAME_MISFITS = /[^\w+=,.@-]/g;

/** The alias, if AWS takes it as it is; else what is left of it, and the id, which keeps two of them apart. */
export function nameSession({ alias, id }: SessionCaller): string {
  if (alias === undefined) return id.replaceAll(NAME_MISFITS, '-').slice(0, MAX_NAME_LENGTH);
  if (NAME.test(alias)) return alias;
  return `${alias.replaceAll(NAME_MISFITS, '-').slice(0, MAX_NAME_LENGTH - 1 - id.length)}-${id}`;
}

/** Throws ERR_ROLE_REFUSED if a tag is none that AWS takes, or if there are more than 50. */
export function tagSession(wanted: readonly SessionTag[], { tags = {} }: SessionCaller): SessionTags {
  if (wanted.length === 0) return [];
  const chosen = new Map<string, string>();
  for (const { name, value } of wanted) {
    const ofKey = Object.hasOwn(tags, name) ? tags[name] : undefined;
    if (name === '*') Object.entries(tags).forEach((tag) => chosen.set(...tag));
    else if (value === undefined && ofKey !== undefined) chosen.set(name, ofKey);
  }
  // What the proxy says of all of them is not for a key to change.
  for (const { name, value } of wanted) if (value !== undefined) chosen.set(name, value);
  const pairs = [...chosen].toSorted(([one], [other]) => (one < other ? -1 : 1));
  const problem = findTagProblem(pairs);
  if (problem === undefined) return pairs;
  throw new ProxyError('ERR_ROLE_REFUSED', `The tags of this key cannot be session tags at AWS: ${problem}.`, {
    hint: 'Change them with `key update --tag`, or start the proxy with another --session-tag.',
  });
}
