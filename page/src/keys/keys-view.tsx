/** Keys: made, limited, blocked, rotated, deleted; what each may do, and what it has spent. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { formatCount } from '../format.ts';
import { go } from '../routes.ts';
import { callAdmin, type KeyList, type KeyRow, type MadeKey, nameOfKey, wordsOf } from './admin.ts';
import { BudgetBar } from './bar.tsx';
import { ConfirmDialog, KeyDialog, MadeKeyDialog } from './key-dialog.tsx';
import { MasterGate } from './master-gate.tsx';

const PAGE_KEYS = 50;
const TYPING_MS = 250;

/** The view `#/keys`. */
export function KeysView(): JSX.Element {
  return (
    <MasterGate what="Keys">
      <Keys />
    </MasterGate>
  );
}

type Open =
  | { readonly kind: 'new' }
  | { readonly kind: 'limits' | 'rotate' | 'delete'; readonly row: KeyRow }
  | { readonly kind: 'made'; readonly made: MadeKey };

function Keys(): JSX.Element {
  const list = useSignal<KeyList | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const search = useSignal('');
  const page = useSignal(1);
  const version = useSignal(0);
  const open = useSignal<Open | undefined>(undefined);
  const askedFor = useRef('');
  useEffect(() => {
    // Only who types is waited for: after a change, the rows that are shown are not true any more.
    const waitMs = search.value === askedFor.current ? 0 : TYPING_MS;
    const timer = setTimeout(() => {
      askedFor.current = search.value;
      const query = new URLSearchParams({
        return_full_object: 'true',
        size: String(PAGE_KEYS),
        page: String(page.value),
      });
      if (search.value !== '') query.set('search', search.value);
      callAdmin<KeyList>('GET', `/key/list?${query.toString()}`).then(
        (found) => {
          list.value = found;
          problem.value = undefined;
          return found;
        },
        (thrown: unknown) => (problem.value = wordsOf(thrown)),
      );
    }, waitMs);
    return () => clearTimeout(timer);
  }, [search.value, page.value, version.value]);
  const reload = (): void => void (version.value += 1);
  const close = (): void => void (open.value = undefined);
  const setBlocked = async ({ token }: KeyRow, isBlocked: boolean): Promise<void> => {
    try {
      await callAdmin('POST', isBlocked ? '/key/block' : '/key/unblock', { body: { key: token } });
    } catch (thrown) {
      problem.value = wordsOf(thrown);
    }
    reload();
  };
  const now = open.value;
  return (
    <main class="sheet">
      <div class="sheet-head">
        <h2>Keys</h2>
        <input
          class="field"
          type="text"
          list={undefined}
          aria-label="Search keys"
          placeholder="Search: name, id, user, team"
          value={search.value}
          onInput={(event) => {
            search.value = event.currentTarget.value;
            page.value = 1;
          }}
        />
        <button type="button" class="button button-main" onClick={() => (open.value = { kind: 'new' })}>
          New key
        </button>
      </div>
      {problem.value !== undefined && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      {list.value === undefined && problem.value === undefined && <p class="quiet">Loading …</p>}
      {list.value?.keys.length === 0 && (
        <p class="quiet">{search.value === '' ? 'There is no key yet.' : 'No key fits.'}</p>
      )}
      {list.value !== undefined && list.value.keys.length > 0 && (
        <div class="sheet-scroll" tabIndex={0} role="region" aria-label="List of keys">
          <table class="sheet-table">
            <thead>
              <tr>
                {['key', 'status', 'spent', 'models', 'limits', 'ends', 'last used', ''].map((title) => (
                  <th key={title} scope="col">
                    {title === '' ? <span class="visually-hidden">what can be done</span> : title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {list.value.keys.map((row) => (
                <tr key={row.token}>
                  <th scope="row">
                    <b>{nameOfKey(row)}</b>
                    {row.key_alias !== null && <span class="quiet"> {row.key_name}</span>}
                    {row.note !== null && <div class="quiet">{row.note}</div>}
                  </th>
                  <td class={row.status === 'active' ? 'good' : 'warn'}>{row.status}</td>
                  <td>
                    <BudgetBar row={row} />
                  </td>
                  <td>{row.models.length === 0 ? <span class="quiet">all</span> : row.models.join(', ')}</td>
                  <td>{describeLimits(row)}</td>
                  <td>{row.expires?.slice(0, 10) ?? <span class="quiet">never</span>}</td>
                  <td>{row.last_used_at?.slice(0, 16).replace('T', ' ') ?? <span class="quiet">never</span>}</td>
                  <td class="sheet-actions">
                    <button type="button" class="button" onClick={() => (open.value = { kind: 'limits', row })}>
                      Limits
                    </button>
                    {row.status === 'blocked' ? (
                      <button type="button" class="button" onClick={() => void setBlocked(row, false)}>
                        Unblock
                      </button>
                    ) : (
                      <button type="button" class="button" onClick={() => void setBlocked(row, true)}>
                        Block
                      </button>
                    )}
                    <button type="button" class="button" onClick={() => (open.value = { kind: 'rotate', row })}>
                      Rotate
                    </button>
                    <button
                      type="button"
                      class="button"
                      onClick={() => go({ view: 'exchanges', id: undefined, filter: `key:"${nameOfKey(row)}"` })}
                    >
                      Requests
                    </button>
                    <button
                      type="button"
                      class="button button-danger"
                      onClick={() => (open.value = { kind: 'delete', row })}
                    >
                      Delete
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {list.value !== undefined && list.value.total_pages > 1 && (
        <p class="pages">
          <button type="button" class="button" disabled={page.value <= 1} onClick={() => (page.value -= 1)}>
            ← before
          </button>{' '}
          page {page.value} of {list.value.total_pages}, {list.value.total_count} keys{' '}
          <button
            type="button"
            class="button"
            disabled={page.value >= list.value.total_pages}
            onClick={() => (page.value += 1)}
          >
            next →
          </button>
        </p>
      )}
      {(now?.kind === 'new' || now?.kind === 'limits') && (
        <KeyDialog
          row={now.kind === 'limits' ? now.row : undefined}
          onClose={() => {
            if (open.value?.kind !== 'made') close();
          }}
          onMade={(made) => {
            open.value = made === undefined ? undefined : { kind: 'made', made };
            reload();
          }}
        />
      )}
      {now?.kind === 'made' && <MadeKeyDialog made={now.made} onClose={close} />}
      {now?.kind === 'rotate' && (
        <ConfirmDialog
          title={`Rotate ${nameOfKey(now.row)}`}
          words="A new key takes its place, with the same limits; the old one stops at once."
          action="Rotate"
          onConfirm={async () => {
            const path = `/key/${now.row.token}/regenerate`;
            const made = await callAdmin<MadeKey>('POST', path, { body: {} });
            open.value = { kind: 'made', made };
            reload();
          }}
          onClose={() => {
            if (open.value?.kind === 'rotate') close();
          }}
        />
      )}
      {now?.kind === 'delete' && (
        <ConfirmDialog
          title={`Delete ${nameOfKey(now.row)}`}
          words="Whoever has it cannot call any more. What it spent stays in the ledger."
          action="Delete"
          onConfirm={async () => {
            await callAdmin('POST', '/key/delete', { body: { keys: [now.row.token] } });
            reload();
          }}
          onClose={close}
        />
      )}
    </main>
  );
}

function describeLimits({ rpm_limit: rpm, tpm_limit: tpm, max_parallel_requests: parallel }: KeyRow): JSX.Element {
  const parts = [
    ...(rpm === null ? [] : [`${formatCount(rpm)} requests/min`]),
    ...(tpm === null ? [] : [`${formatCount(tpm)} tokens/min`]),
    ...(parallel === null ? [] : [`${parallel} at a time`]),
  ];
  return parts.length === 0 ? <span class="quiet">none</span> : <span>{parts.join(', ')}</span>;
}
