/** The columns of the list: what they show, and which of them the reader has chosen. */
import { signal } from '@preact/signals';
import type { ExchangeSummary } from '../../../src/inspector/wire.ts';
import {
  formatCount,
  formatDollars,
  formatMs,
  formatTime,
  modelOf,
  numberOf,
  operationOf,
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
    width: 'minmax(0, 1fr)',
    read: ({ row }) => operationOf(row),
  },
  { name: 'model', title: 'model', width: 'minmax(0, 1.4fr)', read: ({ row }) => modelOf(row) },
  {
    name: 'key',
    title: 'key',
    width: 'minmax(0, 0.7fr)',
    fitsFrom: 820,
    read: ({ row }) => textOf(row['key']) ?? UNKNOWN,
  },
  { name: 'status', title: 'status', width: '8ch', read: readStatus },
  {
    name: 'ttfb',
    title: 'ttfb',
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
  {
    name: 'tokens',
    title: 'tokens in / out',
    width: '15ch',
    fitsFrom: 940,
    isNumber: true,
    read: ({ row }) => {
      const [input, output] = [sumInput(row), numberOf(row['output_tokens'])];
      return input === undefined && output === undefined ? UNKNOWN : `${formatCount(input)} / ${formatCount(output)}`;
    },
  },
  { name: 'cost', title: 'cost', width: '9ch', fitsFrom: 480, isNumber: true, read: readCost },
  {
    name: 'marks',
    title: 'marks',
    width: 'minmax(0, 0.8fr)',
    fitsFrom: 1_040,
    read: (exchange) => listMarks(exchange).join('  '),
  },
];

/** Of all kinds; undefined: not known. */
function sumInput(row: ExchangeSummary['row']): number | undefined {
  const input = numberOf(row['input_tokens']);
  if (input === undefined) return undefined;
  return input + (numberOf(row['cache_read_tokens']) ?? 0) + (numberOf(row['cache_write_tokens']) ?? 0);
}

/** What is special about it, each by a shape and a word. */
function listMarks(exchange: ExchangeSummary): readonly string[] {
  const { row, is_pinned: isPinned, is_streamed: isStreamed, attempt, parent, is_edited: isEdited } = exchange;
  const { source, omitted, note } = exchange;
  const fault = textOf(row['fault']);
  return [
    ...(isPinned ? ['★ pinned'] : []),
    ...(isStreamed ? ['≋ stream'] : []),
    ...(attempt === null ? [] : [`↺ attempt ${attempt.number}`]),
    ...(parent === null ? [] : [isEdited ? '✎ edited' : '↻ replay']),
    ...(fault === undefined ? [] : [`⚡ fault ${fault}`]),
    ...(source === 'cassette' ? ['▣ cassette'] : []),
    ...(omitted === null || omitted === 'off' ? [] : ['∅ no content']),
    ...(note === null || note === '' ? [] : ['✍ note']),
  ];
}

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

/** The second line of a row: what went wrong, and what has no column here. */
export function describeSecondLine(exchange: ExchangeSummary, shown: ReadonlySet<string>): string {
  const { row, cache, note } = exchange;
  const parts = [...describeError(exchange), ...describeTokens(row, shown.has('tokens'))];
  if (cache !== null && cache.lost_usd !== null && Number(cache.lost_usd) > 0)
    parts.push(`cache ${cache.verdict}, ${formatDollars(cache.lost_usd)} lost`);
  if (!shown.has('marks')) parts.push(...listMarks(exchange));
  if (!shown.has('key')) parts.push(textOf(row['key']) ?? 'no key');
  const client = textOf(row['user_agent']);
  if (client !== undefined) parts.push(client);
  if (note !== null && note !== '') parts.push(`“${note}”`);
  return parts.join(' · ');
}

function describeError({ row, explanation }: ExchangeSummary): string[] {
  const error = textOf(row['error']);
  if (error === undefined) return [];
  const said = explanation?.cause ?? textOf(row['error_message']);
  return [error, ...(said === undefined ? [] : [said])];
}

function describeTokens(row: ExchangeSummary['row'], hasColumn: boolean): string[] {
  const input = sumInput(row);
  const output = numberOf(row['output_tokens']);
  const cached = numberOf(row['cache_read_tokens']) ?? 0;
  const written = numberOf(row['cache_write_tokens']) ?? 0;
  const details = [
    ...(cached > 0 ? [`${formatCount(cached)} cached`] : []),
    ...(written > 0 ? [`${formatCount(written)} written`] : []),
  ];
  if (hasColumn) return details;
  const inside = details.length === 0 ? '' : ` (${details.join(', ')})`;
  return [
    ...(input === undefined ? [] : [`${formatCount(input)} in${inside}`]),
    ...(output === undefined ? [] : [`${formatCount(output)} out`]),
  ];
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
