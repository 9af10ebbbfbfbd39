/** Makes a key, or changes what one may do. Empty fields: no limit. */
import { useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useModal } from '../modal.ts';
import { callAdmin, type KeyFields, type KeyRow, type MadeKey, nameOfKey, wordsOf } from './admin.ts';

interface FieldSpec {
  readonly name: keyof KeyFields;
  readonly title: string;
  readonly hint: string;
  readonly kind: 'text' | 'number' | 'list';
}

const FIELDS: readonly FieldSpec[] = [
  { name: 'key_alias', title: 'Name', hint: 'alice', kind: 'text' },
  { name: 'models', title: 'Models', hint: '*haiku*, amazon.nova-*', kind: 'list' },
  { name: 'max_budget', title: 'Budget, US dollars', hint: '20', kind: 'number' },
  { name: 'budget_duration', title: 'Budget for each', hint: '1d, 7d, 1mo', kind: 'text' },
  { name: 'rpm_limit', title: 'Requests a minute', hint: '60', kind: 'number' },
  { name: 'tpm_limit', title: 'Tokens a minute', hint: '100000', kind: 'number' },
  { name: 'max_parallel_requests', title: 'At the same time', hint: '4', kind: 'number' },
  { name: 'duration', title: 'Ends in', hint: '30d, 12h', kind: 'text' },
  { name: 'note', title: 'Note', hint: '', kind: 'text' },
];

/** `row`: the key that is changed; undefined: one is made. */
export function KeyDialog({
  row,
  onClose,
  onMade,
}: {
  row: KeyRow | undefined;
  onClose: () => void;
  onMade: (made: MadeKey | undefined) => void;
}): JSX.Element {
  const dialog = useModal();
  const before = useRef(readBefore(row));
  const values = useSignal<Readonly<Record<string, string>>>(before.current);
  const problem = useSignal<string | undefined>(undefined);
  const isSending = useSignal(false);
  const save = async (): Promise<void> => {
    isSending.value = true;
    problem.value = undefined;
    try {
      const fields = readFields(values.value, before.current);
      if (row === undefined) onMade(await callAdmin<MadeKey>('POST', '/key/generate', { body: fields }));
      else {
        await callAdmin('POST', '/key/update', { body: { key: row.token, ...fields } });
        onMade(undefined);
      }
      onClose();
    } catch (thrown) {
      problem.value = wordsOf(thrown);
      isSending.value = false;
    }
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="key-title" onClose={onClose}>
      <h2 id="key-title">{row === undefined ? 'New key' : `Limits of ${nameOfKey(row)}`}</h2>
      <form
        class="key-form"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {FIELDS.map(({ name, title, hint, kind }) => (
          <>
            <label key={`${name}-label`} for={`key-${name}`}>
              {title}
            </label>
            <input
              key={name}
              id={`key-${name}`}
              class="field"
              inputMode={kind === 'number' ? 'decimal' : 'text'}
              placeholder={hint}
              autocomplete="off"
              value={values.value[name] ?? ''}
              onInput={(event) => (values.value = { ...values.value, [name]: event.currentTarget.value })}
            />
          </>
        ))}
        {problem.value !== undefined && (
          <p class="problem key-form-wide" role="alert">
            {problem.value}
          </p>
        )}
        <p class="key-form-wide dialog-foot">
          <button type="submit" class="button button-main" disabled={isSending.value}>
            {row === undefined ? 'Make the key' : 'Save'}
          </button>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
        </p>
      </form>
    </dialog>
  );
}

function readBefore(row: KeyRow | undefined): Readonly<Record<string, string>> {
  if (row === undefined) return {};
  return Object.fromEntries(
    FIELDS.map(({ name, kind }) => {
      // How long it still lives is not how long it was made for.
      if (name === 'duration') return [name, ''];
      const value = row[name];
      if (value === null) return [name, ''];
      return [name, kind === 'list' && Array.isArray(value) ? value.join(', ') : String(value)];
    }),
  );
}

/** Only what is another one than before; empty: taken away. Throws Error for what is no number. */
function readFields(
  values: Readonly<Record<string, string>>,
  before: Readonly<Record<string, string>>,
): Readonly<Record<string, unknown>> {
  const changed = FIELDS.filter(({ name }) => (values[name] ?? '').trim() !== (before[name] ?? ''));
  return Object.fromEntries(
    changed.map(({ name, title, kind }) => {
      const text = (values[name] ?? '').trim();
      if (text === '') return [name, kind === 'list' ? [] : null];
      if (kind === 'list')
        return [
          name,
          text
            .split(',')
            .map((part) => part.trim())
            .filter((part) => part !== ''),
        ];
      if (kind === 'text') return [name, text];
      const number = Number(text);
      if (Number.isNaN(number)) throw new Error(`${title}: "${text}" is no number.`);
      return [name, number];
    }),
  );
}

/** A key is told once: nobody can ask for it again. */
export function MadeKeyDialog({ made, onClose }: { made: MadeKey; onClose: () => void }): JSX.Element {
  const dialog = useModal();
  const isCopied = useSignal(false);
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="made-title" onClose={onClose}>
      <h2 id="made-title">{nameOfKey(made)}: the key, shown once</h2>
      <pre class="code raw">{made.key}</pre>
      <p class="quiet">For clients that sign: access key id {made.access_key_id}, and the key as its secret.</p>
      <p class="dialog-foot">
        <button
          type="button"
          class="button button-main"
          onClick={() => {
            void navigator.clipboard.writeText(made.key).then(() => (isCopied.value = true));
          }}
        >
          {isCopied.value ? 'Copied' : 'Copy'}
        </button>
        <button type="button" class="button" onClick={onClose}>
          Close
        </button>
      </p>
    </dialog>
  );
}

/** Asks before what cannot be taken back. */
export function ConfirmDialog({
  title,
  words,
  action,
  onConfirm,
  onClose,
}: {
  title: string;
  words: string;
  action: string;
  onConfirm: () => Promise<void>;
  onClose: () => void;
}): JSX.Element {
  const dialog = useModal();
  const problem = useSignal<string | undefined>(undefined);
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="confirm-title" onClose={onClose}>
      <h2 id="confirm-title">{title}</h2>
      <p>{words}</p>
      {problem.value !== undefined && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      <p class="dialog-foot">
        <button
          type="button"
          class="button button-danger"
          onClick={() =>
            void onConfirm().then(onClose, (thrown: unknown) => {
              problem.value = wordsOf(thrown);
            })
          }
        >
          {action}
        </button>
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
      </p>
    </dialog>
  );
}
