/**
 * The rules for `cassette.json` that would let a request pass as a recorded one: proposed only if they do. Pure.
 */
import { compareRequests, type Difference } from './differences.ts';
import { type CanonicalRequest, keyOf } from './match.ts';
import { parsePlace, toPointer } from './places.ts';
import type { CassetteRules } from './rules.ts';

/** Members of `match` in `cassette.json`, beside those that stand there. */
export interface Suggestion {
  readonly ignore?: readonly string[];
  readonly model?: 'family';
  readonly tools?: 'names';
  readonly cachePoints?: 'ignore';
}

/** Gives a request, or a recorded one, as it counts by these rules. */
export type Canonicalizer = (rules: CassetteRules) => CanonicalRequest;

/** More than that is another request. */
const MAX_PLACES = 8;

/** What differs from run to run, the longest first. */
const VOLATILE = [
  String.raw`\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?`,
  String.raw`[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`,
  String.raw`\d{4}-\d\d-\d\d`,
  String.raw`\d\d:\d\d(:\d\d(\.\d+)?)?`,
  String.raw`[0-9a-fA-F]{16,}`,
  String.raw`(tooluse|toolu|call|msg)_[A-Za-z0-9_-]+`,
  String.raw`(/private)?/(tmp|var/folders)/[^\s"']+`,
  String.raw`localhost:\d+|127\.0\.0\.1:\d+`,
  String.raw`\d+(\.\d+)?`,
];
/** Of members that say which request it is, and not what is asked. */
const VOLATILE_MEMBER = /(?:id|token|nonce|timestamp|time|date)$/i;

type Choice = Omit<Suggestion, 'ignore'>;

/** The fewest rules with which they are the same; undefined if there are none to propose. */
export function suggestRules(
  request: Canonicalizer,
  recorded: Canonicalizer,
  rules: CassetteRules,
): Suggestion | undefined {
  const { differences } = compareRequests(request(rules), recorded(rules));
  for (const choice of listChoices(differences, rules)) {
    const chosen = { ...rules, ...choice };
    const rest = compareRequests(request(chosen), recorded(chosen)).differences;
    const ignore = placesFor(rest);
    if (ignore === undefined) continue;
    const complete = { ...chosen, ignore: [...rules.ignore, ...ignore.map(parsePlace)] };
    if (keyOf(request(complete)) !== keyOf(recorded(complete))) continue;
    return { ...(ignore.length === 0 ? {} : { ignore }), ...choice };
  }
  return undefined;
}

/** Those that may have to do with the differences: none, then each alone, then all. */
function listChoices(differences: readonly Difference[], rules: CassetteRules): readonly Choice[] {
  const touches = (pattern: RegExp): boolean => differences.some(({ place }) => pattern.test(place));
  const choices: Choice[] = [];
  if (rules.model === 'exact' && touches(/^(?:path|\/model(?:Id)?)$/)) choices.push({ model: 'family' });
  if (rules.tools === 'exact' && touches(/^\/(?:toolConfig\/)?tools\b/)) choices.push({ tools: 'names' });
  if (rules.cachePoints === 'exact' && differences.some(hasCachePoint)) choices.push({ cachePoints: 'ignore' });
  const all = choices.length > 1 ? [Object.assign({}, ...choices) as Choice] : [];
  return [{}, ...choices, ...all];
}

function hasCachePoint({ place, request, recorded }: Difference): boolean {
  return /cachePoint|cache_control/.test(`${place} ${JSON.stringify([request, recorded])}`);
}

function placesFor(differences: readonly Difference[]): readonly string[] | undefined {
  const places = differences.map(placeFor);
  const known = new Set(places.filter((place) => place !== undefined));
  return known.size > MAX_PLACES || places.includes(undefined) ? undefined : [...known];
}

function placeFor({ place, segments, request, recorded }: Difference): string | undefined {
  if (segments === undefined) {
    if (place !== 'path' && place !== 'query') return undefined;
    const pattern = findPattern(String(request), String(recorded));
    return pattern && `${place} ~ /${pattern}/`;
  }
  // What holds for one element of a list holds for the others.
  const pointer = toPointer(segments.map((segment) => (/^\d+$/.test(segment) ? '*' : segment)));
  // A rule that is long, or has what a terminal acts on, is for nobody to paste.
  if (!/^[ -~]{0,200}$/.test(pointer)) return undefined;
  if (typeof request === 'string' && typeof recorded === 'string') {
    const pattern = findPattern(request, recorded);
    if (pattern !== undefined) return `${pointer === '' ? 'body' : pointer} ~ /${pattern}/`;
  }
  return VOLATILE_MEMBER.test(segments.at(-1) ?? '') && segments.at(-1) !== 'modelId' ? pointer : undefined;
}

/** The first after which the texts are the same. A part that is matched in one of them alone stays a difference. */
function findPattern(request: string, recorded: string): string | undefined {
  return VOLATILE.find((source) => {
    const pattern = new RegExp(source, 'g');
    return request.replaceAll(pattern, '*') === recorded.replaceAll(pattern, '*');
  });
}
