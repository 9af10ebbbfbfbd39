/** What was spent. */
import type { JSX } from 'preact';

/** The view `#/usage`. */
export function UsageView(): JSX.Element {
  return <main class="sheet" />;
}
