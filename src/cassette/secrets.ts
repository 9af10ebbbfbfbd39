/**
 * What must not stand in a cassette: secrets, by their shape or by the name of what holds them, and what should have
 * been scrubbed. Never repeats what it found. Pure.
 */

/** Something that was found: what it is, never the thing itself. */
export interface SecretFinding {
  /** `an AWS access key id (AKIA…)`. */
  readonly what: string;
  /** `secret`: whoever reads it can use it. `personal`: it says who somebody is. */
  readonly kind: 'secret' | 'personal';
}

interface SecretShape extends SecretFinding {
  /** With the flag `g`. Each begins with something rare, so that long texts cost little. */
  readonly pattern: RegExp;
}

/** Shapes as their makers document them; AWS's examples, which end in EXAMPLE, are none. */
const SHAPES: readonly SecretShape[] = [
  secret('an AWS access key id (AKIA…)', /\bAKIA(?![A-Z0-9]{9}EXAMPLE)[A-Z2-7]{16}\b/g),
  secret('the access key id of a session (ASIA…)', /\bASIA(?![A-Z0-9]{9}EXAMPLE)[A-Z2-7]{16}\b/g),
  secret('a Bedrock API key (bedrock-api-key-…)', /\bbedrock-api-key-[A-Za-z0-9+/=_-]{16,}/g),
  secret('a Bedrock API key (ABSK…)', /\bABSK[A-Za-z0-9+/=]{40,}/g),
  secret('an API key (sk-…)', /\bsk-(?=[A-Za-z_-]{0,40}[A-Z0-9])[A-Za-z0-9_-]{20,}/g),
  secret(
    'a private key (PEM)',
    /-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY-----(?:[^-]{0,8000}(?:-----END [A-Z0-9 ]{0,60}-----)?)?/g,
  ),
  secret('a JSON Web Token (eyJ…)', /\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{16,2000}/g),
  secret('a token of GitHub', /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})/g),
  secret('a token of Slack', /\bxox[abeoprs]-[A-Za-z0-9-]{16,}/g),
  secret('an API key of Google (AIza…)', /\bAIza[A-Za-z0-9_-]{35}\b/g),
  secret('a signature of AWS', /\bAWS4-HMAC-SHA256 Credential=|[?&]X-Amz-Signature=[0-9a-f]{64}/g),
  secret('a password in a URL', /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@]{1,100}:[^\s/:@]{3,100}@/g),
  personal(
    'an e-mail address that is not scrubbed',
    /(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?!example\.(?:com|org|net)\b)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}(?![A-Za-z0-9])/g,
  ),
  personal(
    'an account id that is not scrubbed',
    /\barn:aws[a-z-]{0,20}:[a-z0-9-]{1,40}:[a-z0-9-]{0,40}:(?!000000000000|123456789012)\d{12}:/g,
  ),
];

/** Members and headers that hold what nobody else may have. Not all that is called a token: `nextToken` is none. */
const SECRET_NAME =
  /^(?:(?:proxy-)?authorization|(?:set-)?cookie|(?:x-)?(?:litellm-)?api[-_]?key|x-amz-security-token|pass(?:word|wd|phrase)|(?:client|aws|api)?[-_]?secret(?:[-_]?(?:access)?[-_]?key)?|(?:access|refresh|session|auth|bearer|id)[-_]?token|private[-_]?key|credentials?)$/i;
const MIN_SECRET_LENGTH = 16;
/** Words have some 2.5 to 3.5, and are short; random letters and digits of this length have more. */
const MIN_ENTROPY_BITS = 3;

/** Everything in a text that looks like it, by shape alone. */
export function findSecrets(text: string): readonly SecretFinding[] {
  return SHAPES.filter(({ pattern }) => text.search(pattern) !== -1).map(({ what, kind }) => ({ what, kind }));
}

/** What a member or a header of this name holds, if that looks random. */
export function findNamedSecret(name: string, value: string): SecretFinding | undefined {
  if (!SECRET_NAME.test(name) || value.length < MIN_SECRET_LENGTH || /\s\S+\s/.test(value)) return undefined;
  const bare = value.replace(/^(?:Bearer|Basic) /, '');
  if (entropyBits(bare) < MIN_ENTROPY_BITS || /^[a-z0-9]+-[0-9a-f]{6}$/.test(bare)) return undefined;
  return { what: `a value that looks random, in ${JSON.stringify(name.toLowerCase())}`, kind: 'secret' };
}

/** The text with each secret in it as `[secret]`, for messages that repeat a part of a request. */
export function maskSecrets(text: string): string {
  return SHAPES.reduce(
    (masked, { pattern, kind }) => (kind === 'secret' ? masked.replaceAll(pattern, '[secret]') : masked),
    text,
  );
}

/** Shannon's, for each character. */
function entropyBits(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  const shares = [...counts.values()].map((count) => count / text.length);
  return shares.reduce((bits, share) => bits - share * Math.log2(share), 0);
}

function secret(what: string, pattern: RegExp): SecretShape {
  return { what, kind: 'secret', pattern };
}

function personal(what: string, pattern: RegExp): SecretShape {
  return { what, kind: 'personal', pattern };
}
