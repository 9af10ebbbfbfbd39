/** Saves what the list shows. Without prompts unless the reader types that he wants them. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { call, describeFailure } from '../api.ts';
import { saveAs } from '../details/body.tsx';
import { place } from '../routes.ts';
import { failure } from '../state.ts';

const FORMATS = [
  ['har', 'HAR 1.2'],
  ['html', 'one HTML file'],
  ['ndjson', 'NDJSON'],
] as const;
/** What has to be typed. */
const CONSENT = 'contains prompts';

/** The button with its menu, and the question. */
export function ExportMenu(): JSX.Element {
  const box = useRef<HTMLDetailsElement>(null);
  const dialog = useRef<HTMLDialogElement>(null);
  const asked = useSignal<string | undefined>(undefined);
  const typed = useSignal('');
  useEffect(() => {
    if (asked.value === undefined) dialog.current?.close();
    else dialog.current?.showModal();
  }, [asked.value]);
  const choose = (work: () => void): void => {
    if (box.current !== null) box.current.open = false;
    work();
  };
  return (
    <>
      <details class="menu" ref={box}>
        <summary class="button">Export ▾</summary>
        <div class="menu-body">
          {FORMATS.map(([format, title]) => (
            <button
              key={format}
              type="button"
              class="menu-item"
              onClick={() => choose(() => void exportShown(format, true))}
            >
              {title}, without prompts
            </button>
          ))}
          <hr class="menu-line" />
          {FORMATS.map(([format, title]) => (
            <button
              key={format}
              type="button"
              class="menu-item"
              onClick={() =>
                choose(() => {
                  typed.value = '';
                  asked.value = format;
                })
              }
            >
              {title}, with prompts …
            </button>
          ))}
        </div>
      </details>
      <dialog ref={dialog} class="dialog" aria-labelledby="export-title" onClose={() => (asked.value = undefined)}>
        <h2 id="export-title">Export with prompts</h2>
        <p>
          Whoever has the file can read what was asked and what the models said. Credentials are masked all the same.
        </p>
        <form
          class="gate-form"
          onSubmit={(event) => {
            event.preventDefault();
            const format = asked.value;
            if (format === undefined || typed.value.trim() !== CONSENT) return;
            asked.value = undefined;
            void exportShown(format, false);
          }}
        >
          <label for="consent">Type “{CONSENT}”</label>
          <input
            id="consent"
            class="field"
            autocomplete="off"
            value={typed.value}
            onInput={(event) => (typed.value = event.currentTarget.value)}
          />
          <button type="submit" class="button button-main" disabled={typed.value.trim() !== CONSENT}>
            Export
          </button>
          <button type="button" class="button" onClick={() => (asked.value = undefined)}>
            Cancel
          </button>
        </form>
      </dialog>
    </>
  );
}

async function exportShown(format: string, isSanitized: boolean): Promise<void> {
  const { filter } = place.value;
  const query = new URLSearchParams({
    format,
    sanitize: isSanitized ? '1' : '0',
    ...(filter === '' ? {} : { filter }),
  });
  try {
    failure.value = undefined;
    const response = await call('GET', `/export?${query.toString()}`);
    const name = /filename="([^"]*)"/.exec(response.headers.get('content-disposition') ?? '')?.[1];
    await saveAs(await response.blob(), name ?? `exchanges.${format}`);
  } catch (thrown) {
    failure.value = describeFailure(thrown);
  }
}
