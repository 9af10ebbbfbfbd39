/** Fuzz targets of the small languages: filters, and the faults that a client's header names. */
import { deepStrictEqual, ok } from 'node:assert';
import { parseOwnFault } from '../../src/faults/grammar.ts';
import { readRecordFilter } from '../../src/filter/record-filter.ts';
import { type Filter, parseFilter, printFilter } from '../../src/filter/syntax.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';
import type { FuzzTarget } from './engine.ts';

const ROW = aLedgerRow();

/** Printing keeps all but the places of terms. */
function withoutPlaces(filter: Filter): unknown {
  if (filter.kind === 'term') return { ...filter, at: 0 };
  return filter.kind === 'not' ? withoutPlaces(filter.of) : { ...filter, of: filter.of.map(withoutPlaces) };
}

/** A filter that was read prints as one that is read as the same, and can be held against any row. */
export const FILTER: FuzzTarget = {
  name: 'filter',
  words: ['model:', '*haiku*', ' | ', '-', '(', ')', '"', '\\', '/', '/i', 'status:4xx', 'ttfb:>2s', 'in:1..2k', 'is:'],
  maxBytes: 400,
  check: (input) => {
    const text = input.toString('utf8');
    const filter = parseFilter(text);
    if ('problem' in filter) return;
    const printed = printFilter(filter);
    const again = parseFilter(printed);
    ok(!('problem' in again), `${printed}: ${'problem' in again ? again.problem : ''}`);
    deepStrictEqual(withoutPlaces(again), withoutPlaces(filter));
    // A regular expression is the owner's, who may write one that takes long.
    const read = text.includes('/') ? undefined : readRecordFilter(text, 0);
    if (read !== undefined && !('problem' in read)) read.matches(ROW);
  },
};

/** What a request may ask for waits no longer than an hour, and goes into headers as it is named. */
export const OWN_FAULT: FuzzTarget = {
  name: 'own-fault',
  words: [
    'throttle',
    'status=',
    'gap=',
    '..',
    'cut at=',
    'frame:',
    '+20b',
    '2kb',
    '/s',
    ' which=',
    'exception=',
    ' p=',
  ],
  maxBytes: 200,
  check: (input) => {
    const rule = parseOwnFault(input.toString('latin1'));
    if ('problem' in rule) return;
    ok(/^[a-z-]+$/.test(rule.kind));
    ok(rule.p === 1 && rule.count === undefined && rule.every === 1 && rule.after === 0);
    const { effect } = rule;
    if ('ms' in effect) ok(effect.ms <= 3_600_000);
    if ('toMs' in effect) ok(effect.fromMs <= effect.toMs && effect.toMs <= 3_600_000);
    if (effect.does === 'rate') ok(effect.bytesPerSecond >= 1);
    if (effect.does === 'refuse') ok(effect.refusal.status >= 400 && effect.refusal.status <= 599);
  },
};
