/**
 * Filters over what is known of a request, under way or in the ledger: every field, and what it means. Pure.
 */
import type { RecordRow } from '../domain/ledger-columns.ts';
import { parseModelName } from '../domain/model-name.ts';
import { shortModelName, shortOperationName } from '../domain/shown-names.ts';
import {
  type FilterFlags,
  type FilterLanguage,
  flagField,
  flagOf,
  numberField,
  readFilterText,
  type ReadyFilter,
  textField,
} from './fields.ts';
import type { FilterProblem } from './syntax.ts';

/** What a filter looks at. `isStreamed`: the response is a stream; undefined: its operation's name decides. */
export type FilterSubject = RecordRow & { readonly isStreamed?: boolean | undefined };

/** A filter, ready to be asked. */
export type RecordFilter = ReadyFilter<FilterSubject>;

/** What `is:` knows of any request. */
export const RECORD_FLAGS: FilterFlags<FilterSubject> = {
  stream: flagOf(({ isStreamed, operation }) => isStreamed ?? /stream/i.test(operation ?? ''), false),
  error: flagOf(({ status, errorCode }) => errorCode !== undefined || (status ?? 500) >= 400),
  partial: flagOf(({ partial }) => partial),
  unpriced: flagOf(({ pricing }) => pricing === 'unpriced'),
  fault: flagOf(({ fault }) => fault !== undefined),
};

/** Every field, in the order of the docs. */
const FIELDS: FilterLanguage<FilterSubject>['fields'] = {
  model: textField(({ model, modelAlias }) => [
    ...(model === undefined ? [] : [...parseModelName(model).forms, shortModelName(model)]),
    modelAlias,
  ]),
  op: textField(operationForms),
  service: textField(({ service }) => [service]),
  region: textField(({ region }) => [region]),
  profile: textField(({ inferenceProfile }) => [inferenceProfile]),
  upstream: textField(({ upstream }) => [upstream]),
  key: textField(({ keyLabel, keyId }) => [keyLabel, keyId]),
  client: textField(({ userAgent }) => [userAgent]),
  session: textField(({ session }) => [session]),
  agent: textField(({ agent }) => [agent]),
  tag: textField(({ tags }) => Object.entries(tags).flatMap(([name, value]) => [name, `${name}=${value}`])),
  id: textField(({ id, upstreamRequestId }) => [id, upstreamRequestId]),
  size: numberField('size', ({ requestBytes }) => requestBytes, false),
  since: numberField('age', ({ startedAtMs }) => startedAtMs, false),
  is: flagField(RECORD_FLAGS),
  status: numberField('status', ({ status }) => status),
  error: textField(({ errorCode }) => [errorCode], { ofResponse: true }),
  fault: textField(({ fault }) => [fault], { ofResponse: true }),
  ttfb: numberField('time', ({ firstByteMs }) => firstByteMs),
  time: numberField('time', ({ totalMs }) => totalMs),
  in: numberField('count', ({ usage }) => usage?.inputTokens),
  out: numberField('count', ({ usage }) => usage?.outputTokens),
  cached: numberField('count', ({ usage }) => usage?.cacheReadTokens),
  written: numberField('count', ({ usage }) => usage?.cacheWriteTokens),
  cost: numberField('money', ({ costNanoUsd }) => costNanoUsd),
  cache: textField(cacheWords, { ofResponse: true }),
  lost: numberField('money', ({ cacheLostNanoUsd }) => cacheLostNanoUsd),
  answer: numberField('size', ({ responseBytes }) => responseBytes),
};

/** `ConverseStream`, and `converse-stream` as the page of the inspector has it. */
function operationForms(row: FilterSubject): readonly (string | undefined)[] {
  return [row.operation, shortOperationName(row)];
}

/** Verdicts of the cache doctor by which a cache was not read although the request asked for it. */
const MISSES: ReadonlySet<string> = new Set(
  'expired changed params model-changed concurrent lookback volatile-marker evicted'.split(' '),
);

function cacheWords({ cacheVerdict: verdict }: FilterSubject): readonly (string | undefined)[] {
  return [verdict, verdict !== undefined && MISSES.has(verdict) ? 'miss' : undefined];
}

/** What only the inspector knows of a request: its content, and what belongs together. */
const INSPECTED: ReadonlySet<string> = new Set(
  'gap has tool stop body request text conv header is:replay is:edited is:open is:pinned is:retry is:cut is:own'.split(
    ' ',
  ),
);

/** Filters over the ledger and over requests under way. */
export const RECORD_LANGUAGE: FilterLanguage<FilterSubject> = {
  fields: FIELDS,
  bare: (row) => [...operationForms(row), row.model, row.keyLabel, row.errorCode],
  elsewhere: { names: INSPECTED, why: 'looks at what the inspector keeps, and the ledger does not' },
};

/** Reads a filter. `nowMs`: what `since` counts back from. */
export function readRecordFilter(source: string, nowMs: number): RecordFilter | FilterProblem {
  return readFilterText(source, RECORD_LANGUAGE, nowMs);
}
