/**
 * What an error means, and what helps against it: the entry of the table that fits, its steps with what is known of the
 * request. It never changes a response. Pure.
 */
import { isIdentifier, withoutGeography } from '../domain/model-name.ts';
import { ERROR_KINDS, type ErrorCode } from '../lib/errors.ts';
import { EXPLANATIONS, type Explanation } from './explanations.ts';

/** What is known of an error; all of it may be missing but type or message. */
export interface ErrorFacts {
  readonly status?: number | undefined;
  /** AWS's type, or `ERR_…` of the proxy. */
  readonly type?: string | undefined;
  readonly message?: string | undefined;
  readonly operation?: string | undefined;
  readonly service?: string | undefined;
  readonly region?: string | undefined;
  readonly model?: string | undefined;
}

/** What is said of it. */
export interface FoundExplanation {
  readonly entry: string;
  readonly cause: string;
  readonly steps: readonly string[];
  readonly link: string | null;
  readonly retry: Explanation['retry'];
  readonly checked: string;
}

/** Of a message, so much is looked at: AWS's are shorter, and nobody can make it slow. */
const MAX_MESSAGE = 2_000;
const CAN_BE_REPEATED: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

function isOwnCode(type: string): type is ErrorCode {
  return Object.hasOwn(ERROR_KINDS, type);
}

/** Undefined if no entry fits. */
export function explainError(facts: ErrorFacts): FoundExplanation | undefined {
  // A type is foreign text: `constructor` is none of our codes.
  if (facts.type !== undefined && isOwnCode(facts.type)) return explainOwn(facts.type, ERROR_KINDS[facts.type]);
  const entry = findEntry(facts);
  if (entry === undefined) return undefined;
  const words = findWords(facts);
  const steps = entry.steps.map((step) => fillIn(step, words)).filter((step) => step !== undefined);
  return {
    entry: entry.id,
    cause: fillIn(entry.cause, { ...words, model: words['model'] ?? 'this model' }) ?? entry.cause,
    steps: dropRepeated(steps),
    link: entry.link ?? null,
    retry: entry.retry,
    checked: entry.checked,
  };
}

/** The entries that fit: one, or none. More than one is a fault of the table. */
export function findEntries({ status, type, message = '' }: ErrorFacts): readonly Explanation[] {
  const text = normalize(message);
  const name = normalizeType(type ?? '');
  return EXPLANATIONS.filter(
    (entry) =>
      (entry.status === undefined || status === undefined || entry.status.includes(status)) &&
      (entry.type === undefined || entry.type.some((each) => normalizeType(each) === name)) &&
      (entry.message.length > 0 || entry.type !== undefined) &&
      entry.message.every((pattern) => pattern.test(text)) &&
      !entry.unless?.some((pattern) => pattern.test(text)),
  );
}

function findEntry(facts: ErrorFacts): Explanation | undefined {
  const found = findEntries(facts);
  if (found.length > 0) return found[0];
  // People paste a message without its type.
  if (facts.type !== undefined) return undefined;
  const text = normalize(facts.message ?? '');
  if (text.trim() === '') return undefined;
  const [, type] = /\b(\w+(?:exception|_error))\b/.exec(text) ?? [];
  if (type !== undefined) return findEntries({ ...facts, type })[0];
  return EXPLANATIONS.find(
    ({ message, unless }) =>
      message.length > 0 &&
      message.every((pattern) => pattern.test(text)) &&
      !unless?.some((pattern) => pattern.test(text)),
  );
}

/** AWS writes both kinds of apostrophes. */
function normalize(message: string): string {
  return message
    .slice(0, MAX_MESSAGE)
    .replaceAll(/[\u2018\u2019\u201B]/g, "'")
    .replaceAll(/[\u201C\u201D]/g, '"')
    .replaceAll(/\s+/g, ' ')
    .toLowerCase();
}

function normalizeType(type: string): string {
  return type
    .replace(/^.*#/, '')
    .replace(/:.*$/s, '')
    .replace(/Exception$/i, '')
    .toLowerCase();
}

type Words = Readonly<Record<string, string | undefined>>;

function findWords({ message = '', model, region, service, operation }: ErrorFacts): Words {
  const text = message.slice(0, MAX_MESSAGE);
  const arns = [...new Set(text.match(/\barn:aws[\w-]*:bedrock[\w-]*:[^\s,"']{1,300}/g) ?? [])];
  const [, actions] = /not authorized to perform: ([\w:*, -]{1,200}?)(?= on | because|$)/i.exec(text) ?? [];
  const [field] = /#\/[\w/.-]{1,200}|\b[\w.]{1,100}(?=: extra inputs)|\bmessages\.\d[\w.]{0,100}/i.exec(text) ?? [];
  const [, key] = /extraneous key \[([^\]]{1,100})\]/i.exec(text) ?? [];
  return {
    model,
    region,
    service,
    operation,
    arns: arns.length === 0 ? undefined : arns.join(' and '),
    actions,
    field: key ?? field,
    profiles: model === undefined ? undefined : describeProfiles(model, region),
  };
}

/** Names of profiles that a model may have from a region: `us.anthropic.… or global.anthropic.…`. */
function describeProfiles(model: string, region: string | undefined): string | undefined {
  const bare = withoutGeography(model.replace(/^arn:[^/]*\//, ''));
  if (!isIdentifier(bare) || !bare.includes('.')) return undefined;
  const geography = region === undefined ? undefined : GEOGRAPHIES.find(([pattern]) => pattern.test(region))?.[1];
  const names = geography === undefined ? ['us', 'eu', 'apac', 'global'] : [geography, 'global'];
  return names.map((name) => `${name}.${bare}`).join(' or ');
}

const GEOGRAPHIES: readonly (readonly [RegExp, string])[] = [
  [/^us-gov-/, 'us-gov'],
  [/^(?:us|ca)-/, 'us'],
  [/^eu-/, 'eu'],
  [/^ap-/, 'apac'],
];

/** The step with its words; undefined if one of them is not known. */
function fillIn(step: string, words: Words): string | undefined {
  let isWhole = true;
  const filled = step.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const word = words[name];
    if (word === undefined) isWhole = false;
    return word ?? '';
  });
  return isWhole ? filled : undefined;
}

/** A step that says more stands before one that says the same with less. */
function dropRepeated(steps: readonly string[]): readonly string[] {
  return steps.filter((step, at) => !steps.slice(0, at).some((before) => before.startsWith(step.replace(/\.$/, ''))));
}

/** What the proxy refuses it explains where it refuses: in the message, and in docs/errors.md. */
function explainOwn(
  code: ErrorCode,
  { fault, status }: { readonly fault: string; readonly status: number },
): FoundExplanation {
  const whose: Readonly<Record<string, string>> = {
    client: 'The proxy refused it: the caller has to change something.',
    operator: 'The proxy refused it: whoever runs the proxy has to change something.',
    upstream: 'AWS could not be reached, or its response broke off.',
    internal: 'A fault of the proxy itself: please report it.',
  };
  return {
    entry: code,
    cause: whose[fault] ?? 'The proxy refused it.',
    steps: [`docs/errors.md has a section on ${code}.`],
    link: null,
    retry: CAN_BE_REPEATED.has(status) ? 'later' : 'after-fix',
    checked: '',
  };
}
