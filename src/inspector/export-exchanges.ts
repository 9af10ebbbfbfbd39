/**
 * An export in one of its formats, with what goes for all of them: texts are taken out unless they are wanted, what
 * looks like a secret is found, and the name of a file with prompts says so. Pure.
 */
import { findSecrets } from '../cassette/secrets.ts';
import type { Exchange } from './exchange.ts';
import type { ExportHead } from './export-head.ts';
import { exportHar } from './har.ts';
import { exportNdjson, printExchange } from './ndjson.ts';
import { createSanitizer } from './sanitize.ts';
import { exportHtml, type PageFiles } from './saved-page.ts';

/** The formats, by the ends of their files' names. */
export const EXPORT_FORMATS = ['ndjson', 'har', 'html'] as const;
/** One of them. */
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** The content types of the formats. */
export const EXPORT_TYPES: Readonly<Record<ExportFormat, string>> = {
  ndjson: 'application/x-ndjson',
  har: 'application/json',
  html: 'text/html; charset=utf-8',
};

/** What has to be typed before texts are exported, and what stands in the name of the file then. */
export const CONTAINS_PROMPTS = 'contains prompts';

/** What an export needs besides its exchanges. */
export interface ExportOptions extends ExportHead {
  readonly format: ExportFormat;
  /** For stand-ins of e-mail addresses; random. */
  readonly salt: string;
  /** The page, for HTML. */
  readonly page: PageFiles;
}

/** The text of the export, piece by piece. */
export function* exportExchanges(exchanges: Iterable<Exchange>, options: ExportOptions): Generator<string, void> {
  const shown = options.isSanitized ? sanitizeAll(exchanges, options.salt) : exchanges;
  switch (options.format) {
    case 'ndjson':
      return yield* exportNdjson(shown, options);
    case 'har':
      return yield* exportHar(shown, options);
    case 'html':
      yield* exportHtml(shown, options, options.page);
  }
}

function* sanitizeAll(exchanges: Iterable<Exchange>, salt: string): Generator<Exchange, void> {
  const sanitize = createSanitizer(salt);
  for (const exchange of exchanges) yield sanitize(exchange);
}

/** `exchanges-2026-11-28-contains-prompts.har`. */
export function nameExport({ format, isSanitized, exportedAtMs }: Omit<ExportOptions, 'salt' | 'page'>): string {
  const day = new Date(exportedAtMs).toISOString().slice(0, 10);
  return nameWithPrompts(`exchanges-${day}.${format}`, isSanitized);
}

/** The same name, that says what is in the file. */
export function nameWithPrompts(name: string, isSanitized: boolean): string {
  const words = CONTAINS_PROMPTS.replaceAll(' ', '-');
  if (isSanitized || name.includes(words)) return name;
  return name.replace(/(\.[^./\\]*)?$/, `-${words}$1`);
}

/** The head of a signature whose end is masked: nobody can use it. */
const MASKED_SIGNATURE = /AWS4-HMAC-SHA256 Credential=(?=[^"]{0,2000}Signature=\[masked\])/g;

/** What looks like a secret in exchanges, each with in how many of them; never the thing itself. */
export function findExportedSecrets(exchanges: Iterable<Exchange>): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const exchange of exchanges) {
    for (const { what, kind } of findSecrets(printExchange(exchange).replaceAll(MASKED_SIGNATURE, ''))) {
      if (kind === 'secret') found.set(what, (found.get(what) ?? 0) + 1);
    }
  }
  return found;
}
