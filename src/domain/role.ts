/**
 * What a role of AWS may be asked for, by the letters that AWS takes: its ARN, an external id, a duration, session
 * tags. Pure. https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
 */
import { quote } from '../lib/printable.ts';

/** The shortest and the longest session, in seconds. */
export const ROLE_SECONDS = [900, 43_200] as const;

/** A tag that sessions get: with a value, all of them; without one, those whose key has a tag of this name. */
export interface SessionTag {
  /** `*`: every tag of the key. */
  readonly name: string;
  readonly value: string | undefined;
}

/** Name and value; by name. */
export type SessionTags = readonly (readonly [name: string, value: string])[];

const ROLE_ARN = /^arn:aws(?:-[a-z]+){0,2}:iam::\d{12}:role\/[\w+=,.@/-]{1,576}$/;
const EXTERNAL_ID = /^[\w+=,.@:/-]{2,1224}$/;
const TAG_NAME = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u;
const TAG_VALUE = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u;
const MAX_TAGS = 50;

/** What is wrong with the ARN of a role, to follow the name of a flag or a field; undefined if nothing is. */
export function findRoleProblem(text: string): string | undefined {
  if (ROLE_ARN.test(text)) return undefined;
  if (/^arn:[^:]*:iam::\d*:(?:u2f|mfa)\//.test(text)) {
    return 'must be the ARN of a role, and no MFA device: a role that wants MFA cannot be assumed here';
  }
  return 'must be the ARN of a role such as arn:aws:iam::111122223333:role/bedrock';
}

/** Whether AWS takes it as an external id: 2 to 1224 letters, digits and `_+=,.@:/-`. */
export function isExternalId(text: string): boolean {
  return EXTERNAL_ID.test(text);
}

/** A tag as it is written in one piece: `team`, `env=prod`, or `*`. */
export function splitSessionTag(text: string): SessionTag {
  const at = text.indexOf('=');
  return at === -1 ? { name: text, value: undefined } : { name: text.slice(0, at), value: text.slice(at + 1) };
}

/** Why AWS would not take these as the tags of one session, for the middle of a sentence. */
export function findTagProblem(tags: SessionTags): string | undefined {
  if (tags.length > MAX_TAGS) return `there are more than ${MAX_TAGS}`;
  const seen = new Set<string>();
  for (const [name, value] of tags) {
    const lower = name.toLowerCase();
    if (!TAG_NAME.test(name) || lower.startsWith('aws:')) return `${quote(name, 40)} is no name that AWS takes`;
    if (!TAG_VALUE.test(value)) return `the value of ${quote(name, 40)} has characters that AWS does not take`;
    if (seen.has(lower)) return `two are called ${quote(lower, 40)}, and AWS makes no difference of case`;
    seen.add(lower);
  }
  return undefined;
}
