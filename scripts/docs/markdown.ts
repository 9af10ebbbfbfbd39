/** Markdown as the formatter leaves it: tables with aligned columns. Pure. */

/** A table. A cell that holds a pipe is escaped. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows].map((cells) => cells.map((cell) => cell.replaceAll('|', String.raw`\|`)));
  const widths = head.map((_, column) => Math.max(3, ...lines.map((cells) => cells[column]?.length ?? 0)));
  const renderLine = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`;
  const [first = [], ...rest] = lines;
  return [renderLine(first), renderLine(widths.map((width) => '-'.repeat(width))), ...rest.map(renderLine)].join('\n');
}

/** Text as code, unless it is empty. */
export function renderCode(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}
