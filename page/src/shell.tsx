/** What stands around every view: the head with its links and switches, and the view that the address names. */
import { useEffect } from 'preact/hooks';
import type { JSX } from 'preact';
import type { InspectorState, Json } from '../../src/inspector/wire.ts';
import { send } from './api.ts';
import { Details } from './details/details.tsx';
import { textOf } from './format.ts';
import { Help, isHelpOpen } from './help.tsx';
import { bindKeys } from './keyboard.ts';
import { KeysView } from './keys/keys-view.tsx';
import { COLUMNS, hiddenColumns, readStatus, toggleColumn } from './list/columns.ts';
import { EmptyList } from './list/empty.tsx';
import {
  clear,
  exchanges,
  findRetry,
  followFilter,
  isPaused,
  lastError,
  setPaused,
  togglePin,
} from './list/exchanges.ts';
import { FilterBar } from './list/filter-bar.tsx';
import { ExportMenu } from './list/export-menu.tsx';
import { activeExchange, ExchangeGrid, focusRow, isFollowing, openRow, walk } from './list/list.tsx';
import { go, place } from './routes.ts';
import { saved } from './saved.ts';
import { announcement, failure, liveness, refusal, serverState } from './state.ts';
import { TokenGate } from './token-gate.tsx';
import { UsageView } from './usage/usage-view.tsx';

/** So long, if somebody asks for it on the page. */
const CAPTURE_MINUTES = 15;

/** All of the page. */
export function Shell(): JSX.Element {
  useEffect(() => followFilter(), []);
  useEffect(() => bindKeys(LIST_KEYS), []);
  if (refusal.value !== undefined) return <TokenGate />;
  const { view, id } = place.value;
  return (
    <div class={`shell view-${view}${id === undefined ? '' : ' has-details'}`}>
      <Head />
      <Failure />
      {view === 'keys' && <KeysView />}
      {view === 'usage' && <UsageView />}
      {view === 'exchanges' && (
        <main class="exchanges">
          <section class="list-side" aria-label="Exchanges">
            <FilterBar />
            {exchanges.value.length === 0 ? <EmptyList /> : <ExchangeGrid />}
          </section>
          {id !== undefined && <Details key={id} id={id} />}
        </main>
      )}
      {view === 'exchanges' && <Foot />}
      <Help />
      <div class="visually-hidden" aria-live="polite">
        {announcement.value}
      </div>
    </div>
  );
}

const VIEWS = ['exchanges', 'keys', 'usage'] as const;
/** Of a file there are neither keys nor usage. */
const OPENED_VIEWS = ['exchanges'] as const;

function Head(): JSX.Element {
  const state = serverState.value;
  const { view } = place.value;
  return (
    <header class="head">
      <h1 class="head-name">
        bedrock-proxy <span class="quiet">inspect</span>
      </h1>
      <nav class="head-links" aria-label="Views">
        {(state?.kept === 'opened' ? OPENED_VIEWS : VIEWS).map((name) => (
          <a
            key={name}
            href={name === 'exchanges' ? '#/' : `#/${name}`}
            class={view === name ? 'head-link head-link-here' : 'head-link'}
            {...(view === name ? { 'aria-current': 'page' as const } : {})}
          >
            {{ exchanges: 'Exchanges', keys: 'Keys', usage: 'Usage' }[name]}
          </a>
        ))}
      </nav>
      <p class="head-state">
        {state !== undefined && (
          <>
            <span class="quiet">
              {saved === undefined ? hostOf(state.url) : `saved ${saved.exported.slice(0, 16).replace('T', ' ')}`}
              {state.region === null ? '' : ` · ${state.region}`}
              {state.mode === 'aws' ? '' : ` · ${state.mode}`}
            </span>{' '}
            <Keeping />
            <Upstreams />
          </>
        )}
      </p>
      <Liveness />
      {view === 'exchanges' && <Tools />}
      <button
        type="button"
        class="button"
        aria-keyshortcuts="?"
        aria-label="Keys and help"
        onClick={() => (isHelpOpen.value = true)}
      >
        ?
      </button>
    </header>
  );
}

/** What is kept, and what was not. */
function Keeping(): JSX.Element | null {
  const state = serverState.value;
  if (state === undefined) return null;
  const { kept, is_capturing: isCapturing, bytes, max_bytes: maxBytes, dropped } = state;
  if (kept === 'ledger') {
    return (
      <span class="quiet">· content is not kept{state.may_capture === true ? '' : ' (start with --inspect)'}</span>
    );
  }
  if (kept === 'opened') return <span class="quiet">· {describeOpened(dropped['export'])}</span>;
  const lost = Object.entries(dropped).filter(([, count]) => count > 0);
  return (
    <span>
      · {isCapturing ? 'capturing' : 'not capturing'}, {kept === 'memory' ? 'in memory' : 'on disk'}{' '}
      {toMebibytes(bytes)}
      {maxBytes !== null && `/${toMebibytes(maxBytes)}`} MiB
      {state.captures_until !== null && ` until ${new Date(state.captures_until).toLocaleTimeString()}`}
      {lost.map(([why, count]) => (
        <span key={why} class="warn">
          {' '}
          · {count} {nameOf(why, count)} not kept: {REASONS[why] ?? why}
        </span>
      ))}
    </span>
  );
}

function toMebibytes(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes > 0 && mebibytes < 10 ? mebibytes.toFixed(1) : String(Math.round(mebibytes));
}

/** Of several ways to Bedrock, those that are not well; that all are, in a word. */
function Upstreams(): JSX.Element | null {
  const upstreams = (serverState.value?.upstreams ?? []).map(readUpstream);
  if (upstreams.length === 0) return null;
  const ill = upstreams.filter(({ state }) => state !== 'ready');
  const all = upstreams.map(({ name, state }) => `${name}: ${state}`).join('\n');
  if (ill.length === 0) {
    return (
      <span class="good" title={all}>
        {' '}
        · {upstreams.length} upstreams ready
      </span>
    );
  }
  return (
    <span class="warn" title={all}>
      {' '}
      · ⚠ {ill.map(({ name, state }) => `${name} ${UPSTREAM_STATES[state] ?? state}`).join(', ')} of {upstreams.length}{' '}
      upstreams
    </span>
  );
}

const UPSTREAM_STATES: Readonly<Record<string, string>> = { resting: 'rests', models: 'rests for some models' };

function readUpstream(value: Json): { readonly name: string; readonly state: string } {
  const members = typeof value === 'object' && value !== null && !('length' in value) ? value : {};
  return { name: textOf(members['name']) ?? '?', state: textOf(members['state']) ?? '?' };
}

/** `cut`: how many exchanges did not fit into a saved page. */
function describeOpened(cut: number | undefined): string {
  if (saved === undefined) return 'a file that was opened';
  const texts = saved.is_sanitized ? 'texts are replaced by their length' : 'contains prompts';
  return cut === undefined ? texts : `${texts} · ${cut} more did not fit`;
}

const REASONS: Readonly<Record<string, string>> = {
  memory: 'memory limit',
  size: 'too large',
  failed: 'could not be written',
  'opt-out': 'asked not to',
  rate: 'too many a second',
};

function nameOf(why: string, count: number): string {
  if (why === 'rate') return count === 1 ? 'exchange' : 'exchanges';
  return count === 1 ? 'body' : 'bodies';
}

function Liveness(): JSX.Element {
  const now = liveness.value;
  const words = {
    live: '● live',
    connecting: '○ connecting',
    paused: '❚❚ paused',
    gone: '✕ the proxy does not respond',
    saved: '▣ saved page',
  };
  return (
    <span class={`liveness liveness-${now}`} role="status">
      {words[now]}
    </span>
  );
}

/** Has content kept for a while, or not any more. */
function CaptureButton(): JSX.Element | null {
  const state = serverState.value;
  if (state?.may_capture !== true) return null;
  const isForAWhile = state.captures_until !== null;
  if (state.is_capturing && !isForAWhile) return null;
  const press = (): void => {
    send<InspectorState>('PUT', '/capture', isForAWhile ? { on: false } : { on: true, minutes: CAPTURE_MINUTES }).then(
      (told) => (serverState.value = told),
      (thrown: unknown) => (failure.value = thrown instanceof Error ? thrown.message : String(thrown)),
    );
  };
  return (
    <button type="button" class="button" onClick={press}>
      {isForAWhile ? 'Keep no content' : `Keep content for ${CAPTURE_MINUTES} min`}
    </button>
  );
}

function Tools(): JSX.Element {
  const kept = serverState.value?.kept;
  const isLive = saved === undefined && kept !== 'opened';
  return (
    <div class="tools">
      {isLive && <CaptureButton />}
      {isLive && (
        <button
          type="button"
          class="button"
          aria-keyshortcuts="Space"
          aria-pressed={isPaused.value}
          onClick={() => setPaused(!isPaused.value)}
        >
          {isPaused.value ? 'Resume' : 'Pause'}
        </button>
      )}
      {isLive && (
        <button
          type="button"
          class="button"
          aria-keyshortcuts="f"
          aria-pressed={isFollowing.value}
          onClick={() => (isFollowing.value = !isFollowing.value)}
        >
          Follow
        </button>
      )}
      {isLive && kept !== 'ledger' && (
        <button type="button" class="button" onClick={askAndClear}>
          {place.value.filter === '' ? 'Clear' : 'Clear these'}
        </button>
      )}
      {saved === undefined && kept !== 'ledger' && <ExportMenu />}
      <details class="menu">
        <summary class="button">Columns</summary>
        <div class="menu-body">
          {COLUMNS.map(({ name, title }) => (
            <label key={name} class="menu-item">
              <input type="checkbox" checked={!hiddenColumns.value.has(name)} onChange={() => toggleColumn(name)} />{' '}
              {title}
            </label>
          ))}
        </div>
      </details>
    </div>
  );
}

/** What is on disk was meant to stay: this asks first. */
function askAndClear(): void {
  if (serverState.value?.kept !== 'file' || confirm('Delete these exchanges from the file? Pinned ones stay.')) {
    void clear();
  }
}

/** What did not work. */
function Failure(): JSX.Element | null {
  if (failure.value === undefined) return null;
  return (
    <p class="problem failure" role="alert">
      {failure.value}{' '}
      <button type="button" class="button" onClick={() => (failure.value = undefined)}>
        Close
      </button>
    </p>
  );
}

/** The last failure that has an explanation, in one line. */
function Foot(): JSX.Element | null {
  const failed = lastError.value;
  if (failed === undefined) return null;
  const said = failed.explanation?.cause ?? textOf(failed.row['error_message']);
  const retry = findRetry(failed.id);
  return (
    <footer class="foot">
      <span aria-hidden="true">⚠</span> <b>#{failed.sequence}</b>{' '}
      {textOf(failed.row['error']) ?? String(failed.row['status'])}
      {said !== undefined && <span class="foot-cause"> · {said}</span>}
      <button type="button" class="button" onClick={() => go({ id: failed.id })}>
        why?
      </button>
      {retry !== undefined && (
        <button type="button" class="button" onClick={() => go({ id: retry.id })}>
          sent again: #{retry.sequence} · {readStatus(retry)}
        </button>
      )}
    </footer>
  );
}

/** `localhost:4000`. */
function hostOf(url: string): string {
  return url.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
}

const LIST_KEYS = [
  { keys: ['j', 'ArrowDown'], does: 'next row', run: () => walk(1) },
  { keys: ['k', 'ArrowUp'], does: 'row before', run: () => walk(-1) },
  { keys: ['PageDown'], does: 'ten rows on', run: () => walk(10) },
  { keys: ['PageUp'], does: 'ten rows back', run: () => walk(-10) },
  { keys: ['g', 'Home'], does: 'first row', run: () => walk(-Infinity) },
  { keys: ['G', 'End'], does: 'last row', run: () => walk(Infinity) },
  {
    keys: ['Enter', 'ArrowRight'],
    does: 'show it',
    run: () => {
      const here = activeExchange();
      if (here !== undefined) openRow(here.id);
    },
  },
  { keys: ['f'], does: 'follow the newest', run: () => (isFollowing.value = !isFollowing.value) },
  { keys: ['/'], does: 'filter', run: () => document.getElementById('filter')?.focus() },
  { keys: ['ArrowLeft', 'Escape'], does: 'back to the list', run: leaveDetails },
  {
    keys: ['p'],
    does: 'pin',
    run: () => {
      const here = activeExchange();
      if (here !== undefined) void togglePin(here);
    },
  },
  { keys: [' '], does: 'pause, or go on', run: () => setPaused(!isPaused.value) },
  { keys: ['?'], does: 'this help', run: () => (isHelpOpen.value = true) },
] as const;

function leaveDetails(): void {
  const { id } = place.value;
  if (id === undefined) return;
  go({ id: undefined });
  focusRow(id);
}
