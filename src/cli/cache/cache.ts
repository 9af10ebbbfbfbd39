/**
 * `cache`: what the ledger has of prompt caches: how much was read, what was written for nothing, what was lost, and
 * the causes that the cache doctor found, each with a request to look at. Reads only.
 */
import { withExistingStore } from '../../app/open-store.ts';
import { printData, printJson, printTalk, terminalWidth } from '../../app/print.ts';
import { readDatabaseLocation } from '../../config/database-location.ts';
import type { Flags } from '../../config/options.ts';
import type { LedgerFilter } from '../../domain/ledger.ts';
import type { Store } from '../../domain/store.ts';
import { type RecordFilter, readRecordFilter } from '../../filter/record-filter.ts';
import { ProxyError } from '../../lib/errors.ts';
import { findMeant } from '../../lib/nearest-name.ts';
import { quote } from '../../lib/printable.ts';
import { tellMissingDatabase } from '../missing-database.ts';
import { type PeriodInput, readKeyFilter, readPeriod } from '../usage/ledger-filter.ts';
import { describePeriod } from '../usage/usage-table.ts';
import { CACHE_GROUPINGS, type CacheGrouping, DEFAULT_CACHE_SINCE } from './groupings.ts';
import { type CacheDigest, cacheDigestToJson, formatCacheDigest } from './format.ts';
import { CacheSums } from './sums.ts';

interface CacheInput extends Flags, PeriodInput {
  readonly by: string | undefined;
  readonly key: string | undefined;
  readonly filter: string | undefined;
  readonly json: boolean;
}

/** Rows that are read at a time. */
const PAGE_ROWS = 500;

/** `cache`: prints it. Throws ERR_BAD_OPTION and ERR_STORE_UNAVAILABLE. */
export async function printCacheDigest(input: CacheInput): Promise<void> {
  tellMissingDatabase(input, process.env);
  const report = await readReport(input);
  if (input.json) return printJson(cacheDigestToJson(report));
  if (report.sums.requests === 0) {
    return printTalk(`There are no prompts in the ledger ${describePeriod(report)}.`);
  }
  printData(formatCacheDigest(report, terminalWidth()));
  if (report.sums.judged === 0) {
    printTalk('note: No verdicts: the cache doctor looked at none of these requests. Start with --cache-doctor.');
  }
}

async function readReport(input: CacheInput): Promise<CacheDigest> {
  const by = (input.by ?? 'key,model').split(',').map((name) => parseGrouping(name.trim()));
  const wanted = input.filter === undefined ? undefined : parseFilter(input.filter);
  const period = readPeriod(input, DEFAULT_CACHE_SINCE, Date.now());
  const sums = new CacheSums(by);
  await withExistingStore(readDatabaseLocation(input, process.env), async (store) => {
    await addRows(store, { ...period, ...(await readKeyFilter(input.key, store)) }, wanted, sums);
  });
  return { by, ...period, sums };
}

async function addRows(
  store: Store,
  filter: LedgerFilter,
  wanted: RecordFilter | undefined,
  sums: CacheSums,
): Promise<void> {
  for (let before: number | undefined; ;) {
    const page = await store.readLedgerBackwards(filter, { before, limit: PAGE_ROWS });
    for (const entry of page) if (wanted?.matches(entry) !== false) sums.add(entry);
    if (page.length < PAGE_ROWS) return;
    before = page.at(-1)?.sequence;
  }
}

function parseGrouping(name: string): CacheGrouping {
  const known = CACHE_GROUPINGS.find((grouping) => grouping === name);
  if (known !== undefined) return known;
  const meant = findMeant(name, CACHE_GROUPINGS);
  const hint = meant === undefined ? {} : { hint: `Did you mean --by ${meant}?` };
  throw new ProxyError('ERR_BAD_OPTION', `--by must be of ${CACHE_GROUPINGS.join(', ')}, not ${quote(name)}.`, hint);
}

function parseFilter(text: string): RecordFilter {
  const filter = readRecordFilter(text, Date.now());
  if (!('problem' in filter)) return filter;
  throw new ProxyError('ERR_BAD_OPTION', `--filter: ${filter.problem}`, { hint: filter.hint });
}
