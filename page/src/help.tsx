/** The help: every key that counts now, and the switch for single letters. */
import { useEffect, useRef } from 'preact/hooks';
import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { hasLetterKeys, listBindings, setLetterKeys } from './keyboard.ts';

/** Whether the help is shown. */
export const isHelpOpen = signal(false);

/** The dialog. */
export function Help(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (isHelpOpen.value) dialog.current?.showModal();
    else dialog.current?.close();
  }, [isHelpOpen.value]);
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="help-title" onClose={() => (isHelpOpen.value = false)}>
      <h2 id="help-title">Keys</h2>
      {isHelpOpen.value && (
        <table class="keys-table">
          <tbody>
            {listBindings().map(({ keys, does }) => (
              <tr key={does}>
                <th scope="row">
                  {keys.map((key) => (
                    <kbd key={key}>{KEY_NAMES[key] ?? key}</kbd>
                  ))}
                </th>
                <td>{does}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <label class="switch">
        <input
          type="checkbox"
          checked={hasLetterKeys.value}
          onChange={(event) => setLetterKeys(event.currentTarget.checked)}
        />{' '}
        single letters are keys
      </label>
      <form method="dialog">
        <button type="submit" class="button button-main">
          Close
        </button>
      </form>
    </dialog>
  );
}

const KEY_NAMES: Readonly<Record<string, string>> = {
  ArrowDown: '↓',
  ArrowUp: '↑',
  ArrowLeft: '←',
  ArrowRight: '→',
  PageUp: 'PgUp',
  PageDown: 'PgDn',
  Escape: 'Esc',
  ' ': 'Space',
};
