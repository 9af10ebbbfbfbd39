/** What stands around every view: the head with its links, and the view that the address names. */
import type { JSX } from 'preact';
import { place } from './routes.ts';

/** All of the page. */
export function Shell(): JSX.Element {
  const { view } = place.value;
  return (
    <div class="shell">
      <header class="head">
        <h1 class="head-name">bedrock-proxy inspect</h1>
      </header>
      <main class="main">{view}</main>
    </div>
  );
}
