/** The table of the errors that are explained, for docs/explain.md. */
import { EXPLANATIONS } from '../../src/diagnose/explanations.ts';

const RETRY = { never: 'no', later: 'yes', 'after-fix': 'once mended' };

/** A line for each entry: its cause, and whether it helps to send the request again. */
export function renderExplanations(): string {
  const rows = EXPLANATIONS.map(({ id, cause, retry }) => [id, cause.replaceAll('{model}', 'the model'), RETRY[retry]]);
  const table = [['entry', 'what it means', 'again?'], ...rows];
  const widths = [0, 1, 2].map((at) => Math.max(...table.map((row) => row[at]?.length ?? 0)));
  const lines = table.map((row) => `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`);
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}
