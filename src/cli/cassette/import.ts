/** `cassette import`. */
import { EXIT_FAILED, printData, printError, printJson } from '../../app/print.ts';
import { importInto } from '../../cassette/import.ts';
import { createExportReader } from '../../inspector/as-recording.ts';
import { readVersion } from '../../lib/version.ts';

interface ImportInput {
  readonly directory: string;
  readonly file: string;
  readonly json: boolean;
}

/** Prints how many were added; the exit code is 1 if one could not be. Throws ERR_BAD_OPTION. */
export async function importExchanges({ directory, file, json }: ImportInput): Promise<void> {
  const result = await importInto(directory, file, {
    version: readVersion(),
    nowMs: Date.now,
    onProblem: (error) => printError(error, false),
    readOther: createExportReader(),
  });
  const { imported, failed, unplayable } = result;
  const left = unplayable === 0 ? '' : `, ${unplayable} left out: no whole response came from an upstream`;
  if (json) printJson(result);
  else printData(`${imported} imported${failed === 0 ? '' : `, ${failed} not`}${left}`);
  if (failed > 0) process.exitCode = EXIT_FAILED;
}
