/** The columns of the list: what they show, and which of them the reader has chosen. */
import { signal } from '@preact/signals';
import type { ExchangeSummary } from '../../../src/inspector/wire.ts';
import {
  formatCount,
  formatDollars,
  formatMs,
  formatTime,
  numberOf,
  shortModel,
  shortOperation,
  textOf,
  UNKNOWN,
} from '../format.ts';

/** One column. */
export interface Column {
  readonly name: string;
  readonly title: string;
  /** Of a CSS grid. */
  readonly width: string;
  readonly isNumber?: true;
  /** Left out of a list that is narrower, in pixels. */
  readonly fitsFrom?: number;
  readonly read: (exchange: ExchangeSummary) => string;
}

/** All of them, in their order. */
export const COLUMNS: readonly Column[] = [
  { name: 'number', title: '#', width: '5ch', isNumber: true, read: ({ sequence }) => String(sequence) },
  { name: 'time', title: 'time', width: '9ch', fitsFrom: 560, read: ({ row }) => formatTime(textOf(row['time'])) },
  {
    name: 'operation',
    title: 'operation',
    width: 'minmax(9ch, 1fr)',
    read: ({ row }) => shortOperation(textOf(row['operation']), textOf(row['method'])),
  },
  { name: 'model', title: 'model', width: 'minmax(14ch, 1.4fr)', read: ({ row }) => shortModel(textOf(row['model'])) },
  {
    name: 'key',
    title: 'key',
    width: 'minmax(8ch, 0.7fr)',
    fitsFrom: 820,
    read: ({ row }) => textOf(row['key']) ?? UNKNOWN,
  },
  { name: 'status', title: 'status', width: '9ch', read: readStatus },
  {
    name: 'ttfb',
    title: 'first',
    width: '8ch',
    fitsFrom: 740,
    isNumber: true,
    read: ({ row }) => formatMs(numberOf(row['first_byte_ms'])),
  },
  {
    name: 'total',
    title: 'total',
    width: '8ch',
    isNumber: true,
    read: ({ row }) => formatMs(numberOf(row['total_ms'])),
  },
  { name: 'cost', title: 'cost', width: '9ch', fitsFrom: 480, isNumber: true, read: readCost },
];

/** In words and not by colour alone. */
export function readStatus({ row, state }: ExchangeSummary): string {
  const status = numberOf(row['status']);
  if (state === 'open') return status === undefined ? 'open …' : `${status} …`;
  if (state === 'client-gone') return `${status ?? ''} left`.trim();
  if (state === 'cut') return `${status ?? ''} cut`.trim();
  return status === undefined ? UNKNOWN : String(status);
}

function readCost({ row }: ExchangeSummary): string {
  if (row['pricing'] === 'unpriced') return 'unknown';
  return `${formatDollars(textOf(row['cost_usd']))}${row['partial'] === true ? '+' : ''}`;
}

/** The second line of a row: tokens, what went wrong, marks. */
export function describeSecondLine({
  row,
  explanation,
  cache,
  note,
  attempt,
  parent,
  is_edited,
}: ExchangeSummary): string {
  const parts: string[] = [];
  const error = textOf(row['error']);
  if (error !== undefined) parts.push(`${error}${explanation === null ? '' : ` · ${explanation.cause}`}`);
  const input = numberOf(row['input_tokens']);
  const cached = numberOf(row['cache_read_tokens']) ?? 0;
  const written = numberOf(row['cache_write_tokens']) ?? 0;
  const output = numberOf(row['output_tokens']);
  if (input !== undefined) {
    const details = [
      ...(cached > 0 ? [`${formatCount(cached)} cached`] : []),
      ...(written > 0 ? [`${formatCount(written)} written`] : []),
    ];
    parts.push(`${formatCount(input + cached + written)} in${details.length === 0 ? '' : ` (${details.join(', ')})`}`);
  }
  if (output !== undefined) parts.push(`${formatCount(output)} out`);
  if (cache !== null && cache.lost_usd !== null)
    parts.push(`cache ${cache.verdict}, ${formatDollars(cache.lost_usd)} lost`);
  if (attempt !== null) parts.push(`attempt ${attempt.number}`);
  if (parent !== null) parts.push(is_edited ? 'edited replay' : 'replay');
  const fault = textOf(row['fault']);
  if (fault !== undefined) parts.push(`fault ${fault}`);
  const client = textOf(row['user_agent']);
  if (client !== undefined) parts.push(client);
  if (note !== null && note !== '') parts.push(`“${note}”`);
  return parts.join(' · ');
}

const STORED = 'bedrock-proxy-inspect-columns';

/** Names of columns that are not shown. */
export const hiddenColumns = signal<ReadonlySet<string>>(readHidden());

function readHidden(): ReadonlySet<string> {
  try {
    const names: unknown = JSON.parse(localStorage.getItem(STORED) ?? '[]');
    return new Set(Array.isArray(names) ? names.map(String) : []);
  } catch {
    return new Set();
  }
}

/** Shows it, or hides it; at the next visit too. */
export function toggleColumn(name: string): void {
  const next = new Set(hiddenColumns.value);
  if (!next.delete(name)) next.add(name);
  hiddenColumns.value = next;
  try {
    localStorage.setItem(STORED, JSON.stringify([...next]));
  } catch {
    // It counts until the page is left.
  }
}
