/**
 * Exchanges and the page that shows them as one HTML file: it opens offline, asks nobody, and has no token. Its
 * policy allows the two inline elements that it has, by their hashes, and nothing else. What is in the data is
 * hostile: it must not end its element. Pure.
 */
import { createHash } from 'node:crypto';
import { exactUsd } from '../lib/usd.ts';
import type { Exchange, KeptBody } from './exchange.ts';
import type { ExportHead } from './export-head.ts';
import { readFrames } from './har.ts';
import { describeExchange } from './views/describe-exchange.ts';
import { summarise } from './views/summarise.ts';
import { viewFrames } from './views/view-frames.ts';
import { viewMessages } from './views/view-messages.ts';
import { LAYERS, SLOT_NAMES } from './exchange-json.ts';
import type { ExchangeDetails, ExchangeSummary, InspectorState, LayerName, SavedExchanges } from './wire.ts';

/** The files of the page, as they are built. */
export interface PageFiles {
  readonly script: string;
  readonly style: string;
}

/** So many exchanges go into one file: a browser reads all of it at once. */
const MAX_SAVED = 1_000;

/**
 * The HTML, in one piece; before it, a piece without text for each exchange, so that others get their turn. More than
 * 1,000 exchanges are cut, and the page says so.
 */
export function* exportHtml(
  exchanges: Iterable<Exchange>,
  head: ExportHead,
  page: PageFiles,
): Generator<string, void, undefined> {
  const data = escapeJson(JSON.stringify(yield* saveExchanges(exchanges, head)));
  const script = page.script.replaceAll(/<(?=\/script|!--)/gi, String.raw`\x3c`);
  const style = page.style.replaceAll(/<(?=\/style)/gi, String.raw`\3c `);
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    'img-src blob: data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const title = `bedrock-proxy inspect, ${new Date(head.exportedAtMs).toISOString()}`;
  yield `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<title>${title}${head.isSanitized ? '' : ' (contains prompts)'}</title>
<style>${style}</style>
</head>
<body>
<div id="page"></div>
<noscript>This page needs JavaScript. It asks no server.</noscript>
<script type="application/json" id="exchanges">${data}</script>
<script type="module">${script}</script>
</body>
</html>
`;
}

/** Within an element, only these end or change it; JSON may have them escaped anywhere. */
function escapeJson(json: string): string {
  return json
    .replaceAll('<', String.raw`\u003c`)
    .replaceAll('\u2028', String.raw`\u2028`)
    .replaceAll('\u2029', String.raw`\u2029`);
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function* saveExchanges(exchanges: Iterable<Exchange>, head: ExportHead): Generator<string, SavedExchanges, undefined> {
  const details: Record<string, ExchangeDetails> = {};
  const frames: Record<string, SavedExchanges['frames'][string]> = {};
  const messages: Record<string, SavedExchanges['messages'][string]> = {};
  const bodies: Record<string, Partial<Record<LayerName, string>>> = {};
  const items: ExchangeSummary[] = [];
  let scanned = 0;
  for (const exchange of exchanges) {
    scanned += 1;
    if (items.length === MAX_SAVED) continue;
    const { id } = exchange;
    const summary = summarise(exchange, {});
    items.push(summary);
    details[id] = describeExchange(exchange, summary);
    const view = viewFrames(exchange, { from: 0, limit: 0 });
    frames[id] = { ...view, items: readFrames(exchange).frames, next: null };
    messages[id] = viewMessages(exchange);
    bodies[id] = saveBodies(exchange);
    yield '';
  }
  return {
    exported: new Date(head.exportedAtMs).toISOString(),
    is_sanitized: head.isSanitized,
    state: stateOf(items, scanned, head),
    list: { items, cursor: 0, next: null, scanned, totals: totalsOf(items) },
    details,
    frames,
    messages,
    bodies,
  };
}

function saveBodies({ layers, clientStream }: Exchange): Partial<Record<LayerName, string>> {
  const saved: Partial<Record<LayerName, string>> = {};
  const save = (name: LayerName, body: KeptBody | undefined): void => {
    if (body !== undefined) saved[name] = body.read().toString('base64');
  };
  for (const layer of LAYERS) save(SLOT_NAMES[layer] as LayerName, layers[layer]?.body);
  save('client_stream', clientStream);
  return saved;
}

function stateOf(items: readonly ExchangeSummary[], scanned: number, head: ExportHead): InspectorState {
  const cut = scanned - items.length;
  return {
    version: head.version,
    region: null,
    mode: 'aws',
    url: '',
    kept: 'opened',
    is_capturing: false,
    captures_until: null,
    exchanges: items.length,
    max_exchanges: null,
    bytes: 0,
    max_bytes: null,
    dropped: { ...head.dropped, ...(cut > 0 ? { export: cut } : {}) },
    is_master: false,
    may_replay: false,
    upstreams: [],
  };
}

function totalsOf(items: readonly ExchangeSummary[]): SavedExchanges['list']['totals'] {
  const sum = (name: string): number => items.reduce((total, { row }) => total + Number(row[name] ?? 0), 0);
  const cached = sum('cache_read_tokens');
  const input = cached + sum('input_tokens') + sum('cache_write_tokens');
  return {
    exchanges: items.length,
    errors: items.filter(({ row }) => row['error'] !== null && row['error'] !== undefined).length,
    cost_usd: exactUsd(sum('cost_nano_usd')),
    cached_share: input === 0 ? null : cached / input,
  };
}
