/**
 * The language of filters over exchanges: every field of the ledger's, and what only the inspector knows. Pure.
 */
import { findHeader, type HeaderPair } from '../../http/message.ts';
import {
  type FilterField,
  type FilterLanguage,
  flagField,
  flagOf,
  liftField,
  liftFlags,
  numberField,
  readFilterText,
  type ReadyFilter,
  textField,
} from '../../filter/fields.ts';
import { RECORD_FLAGS, RECORD_LANGUAGE } from '../../filter/record-filter.ts';
import type { FilterProblem } from '../../filter/syntax.ts';
import type { Exchange } from '../exchange.ts';
import { findContentFacts, requestText, responseText, writtenText } from './exchange-facts.ts';
import { responseOf } from './kept-body.ts';
import { findKind } from './summarise.ts';
import { testInTime } from './timed-regex.ts';
import { findLongestGap } from './timing.ts';

const rowOf = ({ row }: Exchange): Exchange['row'] => row;

const OF_RECORDS: FilterLanguage<Exchange>['fields'] = Object.fromEntries(
  Object.entries(RECORD_LANGUAGE.fields).map(([name, field]): [string, FilterField<Exchange>] => [
    name,
    liftField(field, rowOf),
  ]),
);

const OF_RESPONSE = { ofResponse: true };

/** What only the inspector knows, and fields that know more there. */
const OF_EXCHANGES: FilterLanguage<Exchange>['fields'] = {
  client: textField(({ row, layers }) => [
    row.userAgent,
    findHeader(layers.clientRequest?.headers ?? [], 'user-agent'),
  ]),
  id: textField(({ id, sequence, row }) => [id, String(sequence), row.upstreamRequestId]),
  gap: numberField('time', (exchange) => findLongestGap(responseOf(exchange)?.body)),
  is: flagField({
    ...liftFlags(RECORD_FLAGS, rowOf),
    replay: flagOf(({ parent }) => parent !== undefined, false),
    edited: flagOf(({ isEdited }) => isEdited, false),
    open: flagOf(({ end }) => end === 'open'),
    pinned: flagOf(({ isPinned }) => isPinned, false),
    retry: flagOf(({ attempt }) => attempt !== undefined, false),
    cut: flagOf(({ end }) => end === 'cut' || end === 'client-gone'),
    own: flagOf((exchange) => findKind(exchange) === 'own'),
  }),
  has: flagField({
    thinking: flagOf((exchange) => findContentFacts(exchange).hasThinking),
    tool: flagOf((exchange) => findContentFacts(exchange).hasTool),
    image: flagOf((exchange) => findContentFacts(exchange).hasImage),
    document: flagOf((exchange) => findContentFacts(exchange).hasDocument),
    guardrail: flagOf((exchange) => findContentFacts(exchange).hasGuardrail),
    exception: flagOf((exchange) => findContentFacts(exchange).hasException),
    note: flagOf(({ note }) => note !== undefined && note !== '', false),
  }),
  tool: textField((exchange) => findContentFacts(exchange).tools, OF_RESPONSE),
  stop: textField((exchange) => [findContentFacts(exchange).stop], OF_RESPONSE),
  body: textField(anyText, { ofResponse: true, isContent: true }),
  request: textField((exchange) => [requestText(exchange)], { isContent: true }),
  text: textField((exchange) => [writtenText(exchange)], { ofResponse: true, isContent: true }),
  conv: textField(({ conversation, id }) => [conversation?.id ?? id]),
  header: textField(({ layers }) =>
    [layers.clientRequest, layers.upstreamResponse ?? layers.clientResponse].flatMap((message) =>
      (message?.headers ?? []).flatMap(describeHeaderPair),
    ),
  ),
};

/** The shorter way first. */
function* anyText(exchange: Exchange): Generator<string | undefined> {
  yield requestText(exchange);
  yield responseText(exchange);
  yield writtenText(exchange);
}

function describeHeaderPair([name, value]: HeaderPair): readonly string[] {
  return [name, `${name}=${value}`];
}

const EXCHANGE_LANGUAGE: FilterLanguage<Exchange> = {
  fields: { ...OF_RECORDS, ...OF_EXCHANGES },
  bare: ({ row, note }) => [...RECORD_LANGUAGE.bare(row), note],
  testRegex: testInTime,
};

/** A filter over exchanges, ready to be asked. */
export type ExchangeFilter = ReadyFilter<Exchange>;

/** Reads a filter over exchanges. `nowMs`: what `since` counts back from. */
export function readExchangeFilter(text: string, nowMs: number): ExchangeFilter | FilterProblem {
  return readFilterText(text, EXCHANGE_LANGUAGE, nowMs);
}
