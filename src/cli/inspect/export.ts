/** `inspect export`: writes what was kept, without what it says unless that is wanted. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { exportParts } from '../../app/export-file.ts';
import { openExchanges } from '../../app/open-exchanges.ts';
import { printTalk } from '../../app/print.ts';
import type { Flags } from '../../config/options.ts';
import type { Exchange } from '../../inspector/exchange.ts';
import {
  CONTAINS_PROMPTS,
  EXPORT_FORMATS,
  type ExportFormat,
  findExportedSecrets,
  nameExport,
  nameWithPrompts,
} from '../../inspector/export-exchanges.ts';
import { listAll } from '../../inspector/list-exchanges.ts';
import type { OpenedSource } from '../../inspector/opened-source.ts';
import { readExchangeFilter } from '../../inspector/views/exchange-filter.ts';
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';
import { readVersion } from '../../lib/version.ts';
import { requireWords } from '../confirm.ts';
import { findInspectFile } from './find-file.ts';

type ExportInput = Flags & {
  readonly file: string | undefined;
  readonly format: ExportFormat | undefined;
  readonly output: string | undefined;
  readonly filter: string | undefined;
  readonly id: string | undefined;
  readonly limit: string | undefined;
  readonly unsanitized: boolean;
  readonly confirm: string | undefined;
};

/** Prints where the file is. Throws ERR_BAD_OPTION, ERR_BAD_REQUEST and ERR_STORE_UNAVAILABLE. */
export async function exportKept(input: ExportInput): Promise<void> {
  const source = await openExchanges(input.file ?? findInspectFile(input, process.env));
  try {
    const exchanges = await findExchanges(source, input);
    const isSanitized = !input.unsanitized;
    if (!isSanitized) await confirmPrompts(exchanges, input.confirm);
    const head = { version: readVersion(), exportedAtMs: Date.now(), isSanitized, dropped: {} };
    const request = { ...head, format: findFormat(input) };
    const { output } = input;
    const path = output === undefined ? nameExport(request) : nameWithPrompts(output, isSanitized);
    await write(exportParts(exchanges, request), output === '-' ? '-' : path);
    if (output !== '-') printTalk(describe(exchanges.length, path, isSanitized));
  } finally {
    await source.close();
  }
}

async function findExchanges(source: OpenedSource, { filter, id, limit }: ExportInput): Promise<readonly Exchange[]> {
  if (limit !== undefined && !/^[1-9]\d{0,8}$/.test(limit)) {
    throw new ProxyError('ERR_BAD_OPTION', `--limit must be a whole number from 1 on, not ${JSON.stringify(limit)}.`);
  }
  const read = readExchangeFilter(filter ?? '', Date.now());
  if (filter !== undefined && 'problem' in read)
    throw new ProxyError('ERR_BAD_OPTION', `--filter: ${read.problem}`, { hint: read.hint });
  const matches = (exchange: Exchange): boolean =>
    (id === undefined || exchange.id === id) && (filter === undefined || 'problem' in read || read.matches(exchange));
  const found = await listAll(source, matches, limit === undefined ? Infinity : Number(limit));
  if (found.length > 0) return found;
  const hint = filter === undefined && id === undefined ? undefined : 'None matches.';
  throw new ProxyError('ERR_BAD_REQUEST', 'There is no exchange to export.', { hint });
}

function findFormat({ format, output }: ExportInput): ExportFormat {
  const end = /\.([a-z]+)$/i.exec(output ?? '')?.[1]?.toLowerCase();
  return format ?? EXPORT_FORMATS.find((known) => known === end) ?? 'ndjson';
}

/** Says what looks like a secret before it asks. */
async function confirmPrompts(exchanges: readonly Exchange[], confirm: string | undefined): Promise<void> {
  for (const [what, count] of findExportedSecrets(exchanges)) {
    printTalk(`warning: ${count === 1 ? 'One exchange has' : `${count} exchanges have`} what looks like ${what}.`);
  }
  await requireWords('All that prompts and responses say will be in the file.', CONTAINS_PROMPTS, confirm);
}

async function write(parts: Iterable<string>, path: string): Promise<void> {
  const sink: Writable = path === '-' ? process.stdout : createWriteStream(path, { flags: 'wx', mode: 0o600 });
  try {
    for (const part of parts) if (!sink.write(part)) await once(sink, 'drain');
    if (path === '-') return;
    sink.end();
    await once(sink, 'finish');
  } catch (thrown) {
    const code = findCode(thrown) ?? 'unknown';
    if (code === 'EEXIST') {
      throw new ProxyError('ERR_BAD_OPTION', `${path} is there already.`, { hint: 'Name another file with --output.' });
    }
    if (thrown instanceof ProxyError || code === 'unknown') throw thrown;
    throw new ProxyError('ERR_BAD_OPTION', `${path} cannot be written (${code}).`, { cause: thrown });
  }
}

function describe(count: number, path: string, isSanitized: boolean): string {
  const what = count === 1 ? '1 exchange' : `${count} exchanges`;
  const how = isSanitized ? 'sanitized: texts are replaced by their length' : 'it contains prompts';
  return `${what} in ${path} (${how})`;
}
