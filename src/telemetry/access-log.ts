/**
 * One line per request for the log of `start`: for people (`pretty`) or programs (`json`). Pure: a record in, text out.
 */
import type { RequestRecord } from '../domain/request-record.ts';
import { rowToJson } from '../domain/ledger-columns.ts';
import { describeRecord } from '../domain/ledger-row.ts';
import { hideKeys } from '../domain/outcome.ts';
import { escapeUnprintable } from '../lib/printable.ts';
import { UNKNOWN_OPERATION } from '../metering/unknown-operation-body.ts';
import { formatRow, type Paint } from './record-line.ts';

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

/**
 * The same for people, with method and path if there is no operation. `width`: columns of the terminal, into which the
 * names are made to fit; undefined if there is none.
 */
export function formatPrettyLine(record: RequestRecord, paint: Paint, width?: number): string {
  const row = describeRecord(record);
  const operation = row.operation ?? `${record.method} ${hideKeys(record.path)}`;
  const remark = describeError(record);
  return formatRow({ ...row, operation }, { paint, width, ...(remark === undefined ? {} : { remark }) });
}

/** What the operator can do something about; of what a client did wrong the code is enough. */
function describeError({ error, status = 0, upstreamErrorType }: RequestRecord): string | undefined {
  if (error === undefined && status < 400 && upstreamErrorType === UNKNOWN_OPERATION)
    return 'AWS knows no such path: it did nothing.';
  if (error === undefined || error.fault === 'client') return undefined;
  return error.detail === undefined ? error.message : `${error.message} (${error.detail})`;
}
