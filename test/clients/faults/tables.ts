// What was measured, as the tables of docs/testing.md.

/** A whole response, and a stream. */
export const MODES = ['call', 'stream'] as const;

/** What one SDK made of one fault. */
export interface Cell {
  readonly fault: string;
  readonly mode: (typeof MODES)[number];
  /** Requests that the proxy saw. */
  readonly attempts: number;
  /** The class of what was thrown, or that nothing was. */
  readonly outcome: string;
}

const TITLES: Readonly<Record<Cell['mode'], string>> = { call: 'A whole response', stream: 'A stream' };
const BEGIN = '<!-- measured: test/clients/faults/run.ts -->';
const END = '<!-- end of what was measured -->';

/** A table for each mode: a row for each fault, a column for each SDK. */
export function renderTables(
  faults: readonly string[],
  sdks: readonly { readonly name: string; readonly cells: readonly Cell[] }[],
): string {
  return MODES.map((mode) => {
    const head = [TITLES[mode], ...sdks.map(({ name }) => name)];
    const rows = faults.map((fault) => [
      `\`${fault}\``,
      ...sdks.map(({ cells }) => describe(cells.find((cell) => cell.fault === fault && cell.mode === mode))),
    ]);
    return layOut([head, ...rows]);
  }).join('\n\n');
}

/** The page with these tables in the place of those that it has. */
export function replaceTables(page: string, tables: string): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error('the page has no place for the tables');
  return `${before}${BEGIN}\n\n${tables}\n\n${END}${after}`;
}

function describe(cell: Cell | undefined): string {
  if (cell === undefined) return '';
  const times = cell.attempts === 1 ? '' : `${cell.attempts} × `;
  const isThrown = /^[\w.]+(?: \(\w+\))?$/.test(cell.outcome) && cell.outcome !== 'complete';
  return times + (isThrown ? `\`${cell.outcome}\`` : cell.outcome);
}

function layOut(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...others] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...others.map(line)].join('\n');
}
