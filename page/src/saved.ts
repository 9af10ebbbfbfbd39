/**
 * A page that was saved as one file has with it what it would ask a server for (`bedrock-proxy inspect export
 * --format html`): it answers itself, and nothing leaves it.
 */
import type { LayerName, SavedExchanges } from '../../src/inspector/wire.ts';

/** Undefined: this page has a server. */
export const saved: SavedExchanges | undefined = findSaved();

function findSaved(): SavedExchanges | undefined {
  const text = document.getElementById('exchanges')?.textContent;
  return typeof text === 'string' && text !== '' ? (JSON.parse(text) as SavedExchanges) : undefined;
}

/** The response to a GET of a path below `/inspect/api/v1`; 404 for what was not saved. */
export function answerSaved(held: SavedExchanges, path: string): Response {
  const [place = '', query = ''] = path.split('?', 2);
  const [, first = '', id = '', what = '', layer = ''] = place.split('/').map((part) => decodeURIComponent(part));
  if (first === 'state') return json(held.state);
  // Nothing comes any more, and the connection stays.
  if (first === 'events' || what === 'events') return new Response(new ReadableStream());
  if (first !== 'exchanges') return failure(404, 'A saved page does not have that.');
  if (id === '') return list(held, new URLSearchParams(query).get('filter') ?? '');
  if (!Object.hasOwn(held.details, id)) return failure(404, 'There is no exchange of this id in this page.');
  if (what === '') return json(held.details[id]);
  if (what === 'frames') return json(held.frames[id]);
  if (what === 'messages') return json(held.messages[id]);
  if (what === 'body') return body(held.bodies[id] ?? {}, layer);
  return failure(404, 'A saved page does not have that.');
}

/** Words are looked for in rows, all of them; the language of filters is the server's. */
function list({ list: held }: SavedExchanges, filter: string): Response {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.some((word) => /[:|()!]|^-/.test(word))) {
    return failure(400, 'A saved page looks for words only: filters are for the page of a running proxy.');
  }
  const items = held.items.filter((item) => {
    const text = JSON.stringify([item.row, item.note]).toLowerCase();
    return words.every((word) => text.includes(word));
  });
  return json({ ...held, items, next: null });
}

/** A layer without a body of its own has that of the layer before. */
const LAYER_BEFORE: Readonly<Record<string, LayerName>> = {
  signed_request: 'client_request',
  client_response: 'upstream_response',
};

function body(bodies: SavedExchanges['bodies'][string], layer: string): Response {
  const before = LAYER_BEFORE[layer];
  const base64 = bodies[layer as LayerName] ?? (before === undefined ? undefined : bodies[before]);
  if (base64 === undefined) return failure(404, 'Nothing is kept of this body.');
  return new Response(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
}

function json(value: unknown): Response {
  return new Response(JSON.stringify(value ?? null), { headers: { 'content-type': 'application/json' } });
}

/** In the envelope of the API. */
export function failure(status: number, message: string): Response {
  return new Response(JSON.stringify({ error: { message } }), { status });
}
