/** What a visitor without the token sees: where the link stands, and a field for it. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { setToken, token } from './api.ts';
import { startAnew } from './list/exchanges.ts';
import { refusal } from './state.ts';

/** In place of everything. */
export function TokenGate(): JSX.Element {
  const typed = useSignal('');
  return (
    <main class="gate">
      <h1>bedrock-proxy inspect</h1>
      <p role="alert">
        {token.value === undefined
          ? 'This page needs its token.'
          : 'The token of this page is not valid any more: each start of the proxy makes a new one.'}
      </p>
      <p>
        Open the link that the proxy printed when it started, press <kbd>i</kbd> in its terminal, or run{' '}
        <code>bedrock-proxy inspect</code>. The master key works as well.
      </p>
      <form
        class="gate-form"
        onSubmit={(event) => {
          event.preventDefault();
          const given = /(?:#t=)?([^#=\s]+)\s*$/.exec(typed.value)?.[1];
          if (given === undefined) return;
          setToken(given);
          startAnew();
        }}
      >
        <label for="token">Link, token or master key</label>
        <input
          id="token"
          class="field"
          type="password"
          autocomplete="off"
          value={typed.value}
          onInput={(event) => (typed.value = event.currentTarget.value)}
        />
        <button type="submit" class="button button-main">
          Open
        </button>
      </form>
      {refusal.value !== undefined && token.value !== undefined && <p class="quiet">{refusal.value}</p>}
    </main>
  );
}
