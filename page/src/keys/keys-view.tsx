/** Keys: made, limited, blocked, rotated. */
import type { JSX } from 'preact';

/** The view `#/keys`. */
export function KeysView(): JSX.Element {
  return <main class="sheet" />;
}
