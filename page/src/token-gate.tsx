/** What a visitor without the token sees: where the link stands, and a field for it. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { setToken } from './api.ts';
import { startAnew } from './list/exchanges.ts';
import { refusal } from './state.ts';

/** In place of everything. */
export function TokenGate(): JSX.Element {
  const typed = useSignal('');
  return (
    <main class="gate">
      <h1>bedrock-proxy inspect</h1>
      <p role="alert">{refusal.value}</p>
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
    </main>
  );
}
