/**
 * The error for a path that the tables do not have: names the nearest operation that they have, and the way to send the
 * request anyway. Runs only on the way to an error, with bounded work however long the path is.
 */
import { countMistakes } from '../lib/nearest-name.ts';
import { printable, quote } from '../lib/printable.ts';
import { ProxyError } from '../lib/errors.ts';
import { type Operation, OPERATIONS, SERVICES } from '../operations/catalog.ts';
import { matchOtherMethods } from '../operations/matcher.ts';

/** No template has more segments, or longer ones; what is beyond is not compared. */
const MAX_SEGMENTS = 10;
const MAX_SEGMENT_CHARS = 48;

const NAMED_SERVICES = [...SERVICES.keys()].filter((id) => id !== 'agentcore-gateway').join(', ');

/** Prices of one difference. Another literal costs its share of misspelt characters, or 1 if most of them differ. */
const LABEL_COST = 0.15;
const MISSING_SEGMENT_COST = 0.6;
const METHOD_COST = 0.1;
/** An operation at a greater distance is no help: then none is named. */
const MAX_DISTANCE = 0.9;

/** ERR_UNKNOWN_OPERATION for a method and a raw path without its mount. `mountPath` is for the hint. */
export function unknownOperation(method: string, path: string, mountPath: string): ProxyError {
  const shown = printable(path);
  if (path === '/') {
    return new ProxyError('ERR_UNKNOWN_OPERATION', `${printable(method)} ${mountPath}/ is no Bedrock operation.`, {
      hint: `Append the path of one, for example ${mountPath}/foundation-models.`,
    });
  }
  const message = `The proxy knows no Bedrock operation ${printable(method)} ${shown}.${describeNearest(method, path)}`;
  return new ProxyError('ERR_UNKNOWN_OPERATION', message, {
    hint:
      `To send it anyway name its service: ${mountPath}/<service>${shown}, with <service> one of ` +
      `${NAMED_SERVICES}.`,
  });
}

/** ERR_UNKNOWN_OPERATION for an `X-Amz-Target` that belongs to no Bedrock service. */
export function unknownTarget(target: string): ProxyError {
  return new ProxyError('ERR_UNKNOWN_OPERATION', `The X-Amz-Target ${quote(target)} is not Bedrock's.`, {
    hint: "Bedrock's begin with AmazonBedrockKeystoneRuntimeService.",
  });
}

/** The nearest operation by method and template, or undefined if nothing is near. */
export function findNearestOperation(method: string, path: string): Operation | undefined {
  const segments = path
    .split('/', MAX_SEGMENTS + 2)
    .slice(1, MAX_SEGMENTS + 1)
    .map((segment) => segment.slice(0, MAX_SEGMENT_CHARS));
  if (segments.length > 1 && segments.at(-1) === '') segments.pop();
  const compare = memoizedComparison();
  let nearest: Operation | undefined;
  let shortest = MAX_DISTANCE;
  for (const operation of OPERATIONS) {
    if (operation.name === undefined || operation.template === '/') continue;
    const template = operation.template.split('/').slice(1);
    if (template.at(-1) === '') template.pop();
    if (Math.abs(template.length - segments.length) > 1) continue;
    const distance = alignSegments(template, segments, compare) + (operation.method === method ? 0 : METHOD_COST);
    if (distance < shortest && haveLiteralInCommon(template, segments, compare)) {
      shortest = distance;
      nearest = operation;
    }
  }
  return nearest;
}

function describeNearest(method: string, path: string): string {
  if (/\/arn:[^/]*\/[^/]/.test(path)) {
    return ' It seems to hold an ARN whose slashes are not percent-encoded: write them as %2F.';
  }
  const [sibling] = matchOtherMethods(path).filter(({ name }) => name !== undefined);
  const nearest = sibling ?? findNearestOperation(method, path);
  return nearest === undefined ? '' : ` The nearest is ${nearest.method} ${nearest.template} (${nearest.name}).`;
}

type Comparison = (literal: string, segment: string) => number;

function memoizedComparison(): Comparison {
  const bySegment = new Map<string, Map<string, number>>();
  return (literal, segment) => {
    if (literal === segment) return 0;
    let known = bySegment.get(segment);
    if (known === undefined) bySegment.set(segment, (known = new Map()));
    let distance = known.get(literal);
    if (distance === undefined) {
      const length = Math.max(literal.length, segment.length);
      const share = countMistakes(literal, segment, length / 2) / length;
      distance = share < 0.5 ? share : 1;
      known.set(literal, distance);
    }
    return distance;
  };
}

/** Without one, only labels would have matched, and they match anything. */
function haveLiteralInCommon(template: readonly string[], segments: readonly string[], compare: Comparison): boolean {
  return template.some((part) => !part.startsWith('{') && segments.some((segment) => compare(part, segment) < 1));
}

/** Edit distance over segments; see the prices above. */
function alignSegments(template: readonly string[], segments: readonly string[], compare: Comparison): number {
  let row = Array.from({ length: segments.length + 1 }, (_, index) => index * MISSING_SEGMENT_COST);
  for (const part of template) {
    const next = [(row[0] ?? 0) + MISSING_SEGMENT_COST];
    segments.forEach((segment, column) => {
      const swap = part.startsWith('{') ? LABEL_COST : compare(part, segment);
      const missing = Math.min(row[column + 1] ?? 0, next[column] ?? 0) + MISSING_SEGMENT_COST;
      next.push(Math.min((row[column] ?? 0) + swap, missing));
    });
    row = next;
  }
  return row.at(-1) ?? 0;
}
