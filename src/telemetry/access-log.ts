/**
 * One line per request for the log of `start`: for people (`pretty`) or programs (`json`). Pure: a record in, text out.
 */
import type { RequestRecord } from '../domain/request-record.ts';
import { type RecordRow, rowToJson } from '../domain/ledger-columns.ts';
import { describeRecord } from '../domain/ledger-row.ts';
import { escapeUnprintable } from '../lib/printable.ts';

/**
 * A request that has ended as a JSON object: what the ledger keeps, and what only the log knows. Unknown is null, never
 * 0 or absent.
 */
export function formatJsonLine(record: RequestRecord): string {
  const line = JSON.stringify({
    ...rowToJson(describeRecord(record)),
    http: record.httpVersion,
    error_detail: record.error?.detail ?? null,
    upstream_error: record.upstreamErrorType ?? null,
    overhead_ms: record.overheadMs ?? null,
  });
  // JSON lets most of these stand, but a terminal that shows the log would act on them.
  return escapeUnprintable(line);
}

/** The same as a row for people. Of what the operator can do something about, it says more than the client heard. */
export function describeForPeople(record: RequestRecord): RecordRow {
  const row = describeRecord(record);
  const { error } = record;
  if (error?.detail === undefined || error.fault === 'client') return row;
  return { ...row, errorMessage: `${row.errorMessage ?? ''} (${error.detail})` };
}
