/** An export as a file: what the API sends, and what `inspect export` writes. */
import { MACHINE_TICKS } from '../lib/clock.ts';
import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { readPageFile } from '../inspector-api/page-files.ts';
import type { ExportedFile } from '../inspector-api/options.ts';
import type { Exchange } from '../inspector/exchange.ts';
import { EXPORT_TYPES, exportExchanges, type ExportOptions, nameExport } from '../inspector/export-exchanges.ts';

/** What is asked for. */
export type ExportRequest = Omit<ExportOptions, 'salt' | 'page'>;

/** Then requests have their turn. */
const SLICE_MS = 5;

/** All of it in memory; takes its time without taking that of others. */
export async function exportFile(exchanges: Iterable<Exchange>, request: ExportRequest): Promise<ExportedFile> {
  const parts: Buffer[] = [];
  let slice = MACHINE_TICKS();
  for (const part of exportParts(exchanges, request)) {
    parts.push(Buffer.from(part));
    if (MACHINE_TICKS() - slice < SLICE_MS) continue;
    await nextTurn();
    slice = MACHINE_TICKS();
  }
  return { name: nameExport(request), contentType: EXPORT_TYPES[request.format], body: Buffer.concat(parts) };
}

function readText(name: string): string {
  return readPageFile(name).toString();
}

/** Its text piece by piece. */
export function exportParts(exchanges: Iterable<Exchange>, request: ExportRequest): Generator<string, void> {
  const page =
    request.format === 'html'
      ? { script: readText('assets/page.js'), style: readText('assets/page.css') }
      : { script: '', style: '' };
  return exportExchanges(exchanges, { ...request, salt: randomBytes(16).toString('hex'), page });
}
