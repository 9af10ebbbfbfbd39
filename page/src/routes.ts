/**
 * Which view is shown, as the address's fragment says: a reload, Back and a bookmark lead to the same place.
 *
 *   #/?f=model:*haiku*          the list, filtered
 *   #/<id>/<tab>?f=…            the list and one exchange
 *   #/keys  #/usage             keys, usage
 */
import { computed, signal } from '@preact/signals';
// It takes the token out of the address, which is read here.
// oxlint-disable-next-line import/no-unassigned-import
import './api.ts';

/** What can be shown of an exchange. */
export const TABS = ['messages', 'request', 'response', 'frames', 'timing', 'signing', 'cache'] as const;
/** One of them. */
export type Tab = (typeof TABS)[number];

/** A place in the page. */
export interface Place {
  readonly view: 'exchanges' | 'keys' | 'usage';
  /** The exchange that is looked at; undefined: none. */
  readonly id: string | undefined;
  readonly tab: Tab;
  readonly filter: string;
}

const hash = signal(location.hash);
addEventListener('hashchange', () => (hash.value = location.hash));

/** Where the page is. */
export const place = computed<Place>(() => readPlace(hash.value));

/** Pure: what a fragment says. Whatever it is, there is a place. */
function readPlace(fragment: string): Place {
  const [path = '', query = ''] = fragment.replace(/^#\/?/, '').split('?', 2);
  const [first = '', second = ''] = path.split('/');
  const filter = new URLSearchParams(query).get('f') ?? '';
  const view = first === 'keys' || first === 'usage' ? first : 'exchanges';
  const tab = TABS.find((each) => each === second) ?? 'messages';
  return { view, id: view === 'exchanges' && first !== '' ? decode(first) : undefined, tab, filter };
}

/** The fragment of a place. */
function writePlace({ view, id, tab, filter }: Place): string {
  const query = filter === '' ? '' : `?${new URLSearchParams({ f: filter }).toString()}`;
  if (view !== 'exchanges') return `#/${view}${query}`;
  return id === undefined ? `#/${query}` : `#/${encodeURIComponent(id)}/${tab}${query}`;
}

/** Goes there. `replace`: Back leads to where it led before, as between rows that are walked through. */
export function go(change: Partial<Place>, { replace = false }: { readonly replace?: boolean } = {}): void {
  const next = writePlace({ ...place.value, ...change });
  if (next === location.hash) return;
  if (replace) history.replaceState(undefined, '', next);
  else history.pushState(undefined, '', next);
  hash.value = next;
}

addEventListener('popstate', () => (hash.value = location.hash));

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
