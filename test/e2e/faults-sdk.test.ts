/**
 * @module-tag slow
 *
 * The table of docs/testing.md that says what SDKs make of faults: measured anew for the one that is always installed.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SDK = 'AWS SDK for JavaScript';

/** The column of an SDK in each table: the first cells of its rows, and those of the SDK. */
function columnsOf(markdown: string): string[][] {
  const tables = markdown.split('\n\n').filter((part) => /^\| A (?:whole response|stream) /.test(part));
  return tables.flatMap((table) => {
    const rows = table
      .trim()
      .split('\n')
      .map((row) => row.split('|').map((cell) => cell.trim()));
    const column = rows[0]?.indexOf(SDK) ?? -1;
    return rows.filter((_, index) => index !== 1).map((row) => [row[1] ?? '', row[column] ?? '']);
  });
}

it('says what the AWS SDK for JavaScript makes of each fault', { timeout: 120_000 }, async () => {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['test/clients/faults/run.ts', '--only', 'aws-sdk'], { cwd: ROOT });
  const told = columnsOf(readFileSync(`${ROOT}docs/testing.md`, 'utf8'));
  expect(told).toHaveLength(42);
  expect(columnsOf(stdout)).toEqual(told);
});
