/** The cassette of a server, as its options have it. */
import { describeRecord } from '../domain/ledger-row.ts';
import { openRecord } from '../domain/request-record.ts';
import type { Cassette } from '../cassette/cassette.ts';
import type { Config } from '../config/config.ts';
import { readRecordFilter } from '../filter/record-filter.ts';
import { ProxyError } from '../lib/errors.ts';
import { readVersion } from '../lib/version.ts';
import { printError } from './print.ts';

/** Reads it; undefined if there is none. Throws ERR_BAD_OPTION. */
export async function openConfiguredCassette({
  cassette,
  workers,
}: Pick<Config, 'cassette' | 'workers'>): Promise<Cassette | undefined> {
  if (cassette === undefined) return undefined;
  if (workers > 1) {
    throw new ProxyError('ERR_BAD_OPTION', 'A cassette is kept in order by one process: leave --workers out.');
  }
  const { openCassette } = await import('../cassette/cassette.ts');
  return openCassette({
    ...cassette,
    skips: openSkip(cassette.skip),
    version: readVersion(),
    nowMs: Date.now,
    onProblem: (error) => printError(error, false),
  });
}

/** Of a filter, the fields that a response begins with. */
function openSkip(source: string | undefined): (status: number) => boolean {
  if (source === undefined) return () => false;
  const filter = readRecordFilter(source, Date.now());
  if ('problem' in filter) throw new ProxyError('ERR_BAD_OPTION', `--cassette-skip: ${filter.problem}`);
  const head = { method: '', httpVersion: '', path: '', userAgentHeader: undefined, traceparent: undefined };
  return (status) => {
    const record = openRecord('', Date.now(), head);
    record.status = status;
    return filter.matches(describeRecord(record));
  };
}

/** What is said at the end, and whether it is a failure: a request was missed or, if it is strict, a recording was. */
export async function endCassette(
  cassette: Cassette,
  { cassette: options, quiet }: Pick<Config, 'cassette' | 'quiet'>,
): Promise<{ readonly words: string | undefined; readonly hasFailed: boolean }> {
  await cassette.close();
  const { missed, unused } = cassette.state;
  const hasFailed = missed > 0 || (options?.isStrict === true && unused.length > 0);
  if (quiet && !hasFailed) return { words: undefined, hasFailed };
  const { explainMiss } = await import('../cassette/miss.ts');
  const told = [
    `Cassette: ${cassette.describe()}.`,
    ...cassette.misses.slice(0, 5).map(explainMiss),
    ...(hasFailed && unused.length > 0 ? [`Not played: ${unused.slice(0, 20).join(', ')}`] : []),
  ];
  return { words: told.join('\n'), hasFailed };
}
