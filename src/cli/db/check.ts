/** `db check`. */
import { EXIT_FAILED, formatFields, printData, printJson } from '../../app/print.ts';
import { formatTime, isoTime } from '../../lib/format.ts';
import { type DatabaseReport, inspectDatabase } from '../../store/sqlite/inspect.ts';
import { requireDatabaseFile } from './database-file.ts';

const INSTEAD = '`bedrock-proxy db status` says how it is.';

/** Prints what is found; the exit code is 1 if something is wrong. Throws ERR_BAD_OPTION and ERR_STORE_UNAVAILABLE. */
export async function check(input: { readonly db: string | undefined; readonly json: boolean }): Promise<void> {
  const { path } = requireDatabaseFile(input, process.env, INSTEAD);
  const report = inspectDatabase(path);
  if (input.json) printJson(reportToJson(path, report));
  else printData(formatReport(path, report));
  if (report.problems.length > 0) process.exitCode = EXIT_FAILED;
}

function formatReport(path: string, { counts, spend, files, problems, ...report }: DatabaseReport): string {
  const main = files.find((file) => file.path === path);
  const owner =
    main?.mode === undefined ? [] : [['owner', `user ${main.ownerId}, mode ${main.mode.toString(8)}`] as const];
  const contents =
    counts === undefined
      ? []
      : ([
          ['keys', String(counts.keys)],
          ['requests', `${counts.rows}, from ${formatTime(counts.oldestRowMs ?? undefined)}`],
          ['reservations', String(counts.reservations)],
        ] as const);
  const told =
    spend === undefined
      ? []
      : [['budgets', `${spend.equal} equal to the ledger, ${spend.unknown} unknown, ${spend.wrong} wrong`] as const];
  const fields = formatFields([
    ['database', path],
    ['size', `${report.sizeBytes} bytes, write-ahead log ${report.logBytes}`],
    ['schema', String(report.schemaVersion)],
    ...owner,
    ...contents,
    ...told,
  ]);
  return `${fields}\n\n${problems.length === 0 ? 'All is well.' : problems.join('\n')}`;
}

function reportToJson(path: string, { counts, spend, ...report }: DatabaseReport): object {
  return {
    database: path,
    ok: report.problems.length === 0,
    size_bytes: report.sizeBytes,
    log_bytes: report.logBytes,
    schema_version: report.schemaVersion,
    files: report.files.map(({ path: file, ownerId, mode }) => ({
      path: file,
      owner_id: ownerId ?? null,
      mode: mode?.toString(8) ?? null,
    })),
    counts:
      counts === undefined
        ? null
        : {
            keys: counts.keys,
            requests: counts.rows,
            reservations: counts.reservations,
            oldest_request: isoTime(counts.oldestRowMs ?? undefined),
            newest_request: isoTime(counts.newestRowMs ?? undefined),
          },
    spend: spend ?? null,
    problems: report.problems,
  };
}
