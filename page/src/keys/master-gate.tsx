/** Keys and usage want the master key: given once, kept in this tab's memory. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { token } from '../api.ts';
import { serverState } from '../state.ts';
import { AdminFailure, callAdmin, masterKey, wordsOf } from './admin.ts';

/** What is inside is shown to whoever has given the master key. */
export function MasterGate({ what, children }: { what: string; children: ComponentChildren }): JSX.Element {
  const typed = useSignal('');
  const problem = useSignal<string | undefined>(undefined);
  const isAsking = useSignal(false);
  // The token of this page may be the master key.
  if (masterKey.value === undefined && serverState.value?.is_master === true) masterKey.value = token.value;
  if (masterKey.value !== undefined) return <>{children}</>;
  const open = async (): Promise<void> => {
    isAsking.value = true;
    masterKey.value = undefined;
    try {
      await callAdmin('GET', '/key/aliases?size=1', { key: typed.value });
      masterKey.value = typed.value;
    } catch (thrown) {
      problem.value = wordsOf(thrown);
      if (thrown instanceof AdminFailure && thrown.status === 0) problem.value = 'The proxy does not respond.';
    }
    isAsking.value = false;
  };
  return (
    <main class="gate">
      <h2>{what} want the master key</h2>
      <p>
        Start the proxy with <code>BEDROCK_PROXY_MASTER_KEY</code>, and give that key here. It stays in this tab until
        you close it. <code>bedrock-proxy key</code> and <code>bedrock-proxy usage</code> do the same in a terminal,
        without it.
      </p>
      <form
        class="gate-form"
        onSubmit={(event) => {
          event.preventDefault();
          void open();
        }}
      >
        <label for="master-key">Master key</label>
        <input
          id="master-key"
          class="field"
          type="password"
          autocomplete="off"
          value={typed.value}
          onInput={(event) => (typed.value = event.currentTarget.value)}
        />
        <button type="submit" class="button button-main" disabled={typed.value === '' || isAsking.value}>
          Open
        </button>
      </form>
      {problem.value !== undefined && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
    </main>
  );
}
