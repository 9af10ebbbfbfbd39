/** One exchange, in tabs. */
import type { JSX } from 'preact';

/** The side of the page that shows it. */
export function Details({ id }: { id: string }): JSX.Element {
  return <section class="details">{id}</section>;
}
