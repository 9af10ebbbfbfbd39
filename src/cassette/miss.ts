/**
 * A request that has no recording, and why: the nearest ones, where they differ, and what would let it pass. As a line,
 * as lines, as JSON and as an error. Pure.
 */
import { ProxyError } from '../lib/errors.ts';
import { printable } from '../lib/printable.ts';
import { describeDifference, type Difference, showDifference } from './differences.ts';
import type { Suggestion } from './suggest.ts';

/** A recording that is not the one, but near. */
export interface NearRecording {
  /** The name of its file. */
  readonly file: string;
  /** How much is equal: from 0 to 1. */
  readonly share: number;
  /** How often it was played. */
  readonly plays: number;
  /** None: it is the same request, but used up. */
  readonly differences: readonly Difference[];
  readonly suggestion: Suggestion | undefined;
}

/** A request without a recording. */
export interface Miss {
  /** AWS's name of the operation; empty if the table does not know the path. */
  readonly operation: string;
  readonly path: string;
  readonly model: string | undefined;
  /** The sub-directory that was looked into; empty: none. */
  readonly scope: string;
  /** SHA-256 of what counts of the request. */
  readonly key: string;
  /** How many recordings of it there are, if all of them are used up; else 0. */
  readonly usedUp: number;
  /** The nearest three, the nearest one first. */
  readonly nearest: readonly NearRecording[];
  /** Another sub-directory that has it. */
  readonly elsewhere: string | undefined;
}

const SHOWN_DIFFERENCES = 5;

/** Who sent it reads it as AWS's errors are read. */
export function missError(miss: Miss): ProxyError {
  const { suggestion } = miss.nearest[0] ?? {};
  const hint = suggestion && `It would match with ${showSuggestion(suggestion)} in cassette.json.`;
  return new ProxyError('ERR_CASSETTE_MISS', describeMiss(miss), { hint: miss.usedUp > 0 ? undefined : hint });
}

/** One line, the same for the client and the log. */
export function describeMiss(miss: Miss): string {
  const what = `No recording for ${nameRequest(miss)}`;
  if (miss.usedUp > 0) return `${what}: recorded ${miss.usedUp}×, ${miss.usedUp === 1 ? '' : 'all '}used up.`;
  if (miss.elsewhere !== undefined) return `${what}; ${nameScope(miss.elsewhere)} has one.`;
  const [nearest] = miss.nearest;
  if (nearest === undefined) return `${what}, and none that is near.`;
  const [first, ...more] = nearest.differences;
  const others = more.length === 0 ? '' : ` and ${more.length} more`;
  return `${what}; nearest ${nearest.file}: ${first === undefined ? 'equal' : describeDifference(first)}${others}.`;
}

/** All that is known of it, in lines. */
export function explainMiss(miss: Miss): string {
  const head =
    miss.usedUp > 0 || miss.elsewhere !== undefined ? describeMiss(miss) : `No recording for ${nameRequest(miss)}.`;
  return [head, ...miss.nearest.flatMap(explainNear)].join('\n');
}

function explainNear({ file, share, plays, differences, suggestion }: NearRecording): string[] {
  const played = plays === 0 ? 'not played yet' : `played ${plays}×`;
  const hidden = differences.length - SHOWN_DIFFERENCES;
  return [
    `  ${file}, ${Math.floor(share * 100)} % equal, ${played}`,
    ...differences.slice(0, SHOWN_DIFFERENCES).flatMap(explainDifference),
    ...(hidden > 0 ? [`    and ${hidden} more`] : []),
    ...(suggestion === undefined
      ? []
      : ['    It would match with this in cassette.json:', `      ${showSuggestion(suggestion)}`]),
  ];
}

function explainDifference(difference: Difference): string[] {
  const [where, request, recorded] = showDifference(difference);
  return [
    `    ${where}`,
    ...(request === undefined ? [] : [`      request   ${request}`]),
    ...(recorded === undefined ? [] : [`      recorded  ${recorded}`]),
  ];
}

/** As it stands in `cassette.json`. */
function showSuggestion(suggestion: Suggestion): string {
  return `"match": ${JSON.stringify(suggestion)}`;
}

/** For `misses.ndjson` and the admin API. What is long is shortened, and secrets are masked, as in the lines. */
export function missToJson(miss: Miss, atMs: number): Readonly<Record<string, unknown>> {
  return {
    at: new Date(atMs).toISOString(),
    operation: miss.operation,
    path: printable(miss.path, 300),
    model: miss.model ?? null,
    directory: miss.scope,
    key: miss.key,
    message: describeMiss(miss),
    used_up: miss.usedUp,
    found_in: miss.elsewhere ?? null,
    nearest: miss.nearest.map(({ file, share, plays, differences, suggestion }) => ({
      file,
      share: Math.floor(share * 1_000) / 1_000,
      plays,
      differences: differences.slice(0, SHOWN_DIFFERENCES).map((difference) => {
        const [, request, recorded] = showDifference(difference);
        return { place: printable(difference.place, 200), request: request ?? null, recorded: recorded ?? null };
      }),
      more_differences: Math.max(0, differences.length - SHOWN_DIFFERENCES),
      match: suggestion ?? null,
    })),
  };
}

function nameRequest({ operation, path, model, scope }: Miss): string {
  const name = operation === '' ? printable(path) : operation;
  const where = scope === '' ? '' : ` in ${scope}`;
  return `${name}${model === undefined ? '' : ` ${printable(model)}`}${where}`;
}

function nameScope(scope: string): string {
  return scope === '' ? 'the cassette itself' : `its sub-directory ${scope} (x-bedrock-proxy-cassette)`;
}
