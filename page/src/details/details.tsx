/** One exchange, in tabs, with what can be done with it. */
import { useEffect, useRef } from 'preact/hooks';
import { signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { ExchangeDetails, ExchangeEvent, ExchangeSummary, ExplanationView } from '../../../src/inspector/wire.ts';
import { call, describeFailure, getJson, openEvents, send } from '../api.ts';
import { formatBytes, formatDollars, modelOf, operationOf, textOf } from '../format.ts';
import { bindKeys } from '../keyboard.ts';
import { annotate, exchanges, isError, togglePin } from '../list/exchanges.ts';
import { saved } from '../saved.ts';
import { go, place, type Tab, TABS } from '../routes.ts';
import { serverState } from '../state.ts';
import { readStatus } from '../list/columns.ts';
import { saveAs } from './body.tsx';
import { CacheTab } from './cache-tab.tsx';
import { Difference } from './diff-view.tsx';
import { FramesTab } from './frames-tab.tsx';
import { useLoaded } from './loaded.ts';
import { MessageTab } from './message-tab.tsx';
import { MessagesTab } from './messages-tab.tsx';
import { ReplayDialog } from './replay-dialog.tsx';
import { SigningTab } from './signing-tab.tsx';
import { tell, tellFailure, told } from './tell-failure.ts';
import { TimingTab } from './timing-tab.tsx';
import { Turns } from './turns.tsx';

const TITLES: Readonly<Record<Tab, string>> = {
  messages: 'Messages',
  request: 'Request',
  response: 'Response',
  frames: 'Frames',
  timing: 'Timing',
  signing: 'Signing',
  cache: 'Cache',
};
const GROWTH_MS = 250;
/** What can be copied, by the name that the API has for it. */
const SNIPPETS = [
  ['curl', 'curl, through the proxy'],
  ['curl-aws', 'curl, straight to AWS'],
  ['powershell', 'PowerShell'],
  ['aws-cli', 'AWS CLI'],
  ['boto3', 'boto3'],
  ['js', 'JavaScript'],
] as const;

/** Replay or diff that is open; undefined: none. */
const opened = signal<'replay' | 'edit' | undefined>(undefined);
const comparedWith = signal<string | undefined>(undefined);

/** The side of the page that shows it. */
export function Details({ id }: { id: string }): JSX.Element {
  const listed = exchanges.value.find((each) => each.id === id);
  const growth = useGrowth(id, listed?.state === 'open');
  const version = `${listed?.state ?? ''} ${listed?.is_pinned ?? ''} ${listed?.note ?? ''} ${growth}`;
  const { value: details, problem } = useLoaded<ExchangeDetails>(`/exchanges/${encodeURIComponent(id)}`, version);
  const { tab } = place.value;
  useEffect(() => {
    opened.value = undefined;
    comparedWith.value = undefined;
    told.value = undefined;
  }, [id]);
  const summary = listed ?? details?.summary;
  useEffect(() => (summary === undefined ? undefined : bindKeys(keysFor(summary))), [summary]);
  if (problem !== undefined && details === undefined) {
    return (
      <section class="details" aria-label="Exchange">
        <p class="problem">{problem}</p>
        <BackButton />
      </section>
    );
  }
  if (details === undefined || summary === undefined) {
    return (
      <section class="details" aria-label="Exchange">
        <p class="quiet">Loading …</p>
      </section>
    );
  }
  return (
    <section class="details" aria-label={`Exchange ${summary.sequence}`}>
      <Title summary={summary} />
      <Turns summary={summary} failedAttempts={details.failed_attempts} />
      <Toolbar summary={summary} />
      {told.value !== undefined && <p class="notice">{told.value}</p>}
      {problem !== undefined && <p class="notice">It is not kept any more: {problem}</p>}
      {(isError(summary.row) || summary.explanation !== null) && <Explanation summary={summary} />}
      {summary.omitted !== null && <p class="notice">{OMISSIONS[summary.omitted]}</p>}
      {comparedWith.value !== undefined && (
        <Difference id={id} base={comparedWith.value} onClose={() => (comparedWith.value = undefined)} />
      )}
      <Tabs tab={tab} />
      <div class="tab-body" role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`} tabIndex={0}>
        {tab === 'messages' && <MessagesTab id={id} version={version} told={textOf(summary.row['error_message'])} />}
        {tab === 'request' && <MessageTab details={details} which="request" version={summary.state} />}
        {tab === 'response' && <MessageTab details={details} which="response" version={version} />}
        {tab === 'frames' && <FramesTab id={id} isOpen={summary.state === 'open'} />}
        {tab === 'timing' && <TimingTab timing={details.timing} />}
        {tab === 'signing' && <SigningTab signing={details.signing} />}
        {tab === 'cache' && <CacheTab id={id} version={summary.state} />}
      </div>
      {opened.value !== undefined && (
        <ReplayDialog
          details={details}
          isEditing={opened.value === 'edit'}
          onClose={() => (opened.value = undefined)}
        />
      )}
    </section>
  );
}

/** Grows while more of a response comes. */
function useGrowth(id: string, isOpen: boolean): number {
  const ticks = useSignal(0);
  useEffect(() => {
    if (!isOpen) return undefined;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onEvent = (event: string): void => {
      if ((event as ExchangeEvent['event']) !== 'frames') return;
      timer ??= setTimeout(() => {
        timer = undefined;
        ticks.value += 1;
      }, GROWTH_MS);
    };
    openEvents(`/exchanges/${id}/events`, onEvent, abort.signal).then(
      () => (ticks.value += 1),
      () => {},
    );
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [id, isOpen]);
  return ticks.value;
}

const OMISSIONS = {
  off: 'Only the row of the ledger is kept: start the proxy with --inspect to see what passes.',
  'opt-out': 'The client or its key asked that its content is not kept.',
  size: 'It was too large to be kept.',
  memory: 'There was no room for its content: --inspect-limit gives more.',
  evicted: 'Its content has made room for younger ones.',
  failed: 'Its content could not be written, or not be read again.',
  sanitized: 'The export leaves its content out.',
};

function Title({ summary }: { summary: ExchangeSummary }): JSX.Element {
  const { row, sequence } = summary;
  const cost = row['pricing'] === 'unpriced' ? 'cost unknown' : formatDollars(textOf(row['cost_usd']));
  return (
    <header class="details-title">
      <BackButton />
      <h2>
        #{sequence} {operationOf(row)} · {modelOf(row)}
      </h2>
      <p class="quiet">
        <span class={isError(row) ? 'bad' : ''}>{readStatus(summary)}</span> · {cost} · {textOf(row['key']) ?? 'no key'}{' '}
        · {textOf(row['region']) ?? 'no region'}
        {textOf(row['upstream']) !== undefined && ` · ${textOf(row['upstream'])}`} · {summary.source} ·{' '}
        {formatBytes(Number(row['request_bytes'] ?? 0))} sent, {formatBytes(Number(row['response_bytes'] ?? 0))}{' '}
        received
      </p>
    </header>
  );
}

function BackButton(): JSX.Element {
  return (
    <button
      type="button"
      class="button back"
      aria-label="Back to the list"
      aria-keyshortcuts="ArrowLeft Escape"
      onClick={() => go({ id: undefined })}
    >
      ← <span class="back-word">Back</span>
    </button>
  );
}

function Toolbar({ summary }: { summary: ExchangeSummary }): JSX.Element {
  const { id, is_pinned: isPinned, conversation, parent } = summary;
  const kept = serverState.value?.kept;
  const isKept = kept !== 'ledger' && kept !== 'opened';
  const pinned = exchanges.value.find((each) => each.is_pinned && each.id !== id);
  const note = useRef<HTMLInputElement>(null);
  const mayReplay = serverState.value?.may_replay === true;
  return (
    <div class="toolbar" role="toolbar" aria-label="This exchange">
      {mayReplay && (
        <>
          <button type="button" class="button" aria-keyshortcuts="r" onClick={() => (opened.value = 'replay')}>
            Replay
          </button>
          <button type="button" class="button" aria-keyshortcuts="e" onClick={() => (opened.value = 'edit')}>
            Edit and replay
          </button>
        </>
      )}
      {saved === undefined && (
        <>
          <Menu title="Copy as" names={SNIPPETS} onChoose={(as) => void copySnippet(id, as)} />
          <Menu
            title="Export"
            names={[
              ['har', 'HAR'],
              ['html', 'one HTML file'],
              ['ndjson', 'NDJSON'],
            ]}
            onChoose={(format) => void tellFailure(exportOne(id, format))}
          />
        </>
      )}
      {saved === undefined && conversation !== null && conversation.previous !== null && (
        <button
          type="button"
          class="button"
          aria-keyshortcuts="d"
          onClick={() => (comparedWith.value = conversation.previous ?? undefined)}
        >
          Diff with the turn before
        </button>
      )}
      {pinned !== undefined && (
        <button type="button" class="button" aria-keyshortcuts="D" onClick={() => (comparedWith.value = pinned.id)}>
          Diff with #{pinned.sequence}
        </button>
      )}
      {parent !== null && (
        <button type="button" class="button" onClick={() => (comparedWith.value = parent)}>
          Compare with the original
        </button>
      )}
      {isKept && (
        <>
          <button
            type="button"
            class="button"
            aria-pressed={isPinned}
            aria-keyshortcuts="p"
            onClick={() => void togglePin(summary)}
          >
            {isPinned ? '★ Pinned' : '☆ Pin'}
          </button>
          <input
            ref={note}
            class="field note"
            aria-label="Note"
            placeholder="Note"
            maxLength={2_000}
            value={summary.note ?? ''}
            onChange={(event) => void annotate(id, event.currentTarget.value)}
          />
          <button
            type="button"
            class="button"
            onClick={() => {
              go({ id: undefined });
              void tellFailure(send('DELETE', `/exchanges/${id}`));
            }}
          >
            Delete
          </button>
        </>
      )}
    </div>
  );
}

function Menu({
  title,
  names,
  onChoose,
}: {
  title: string;
  names: readonly (readonly [name: string, title: string])[];
  onChoose: (name: string) => void;
}): JSX.Element {
  const box = useRef<HTMLDetailsElement>(null);
  const close = (): void => {
    if (box.current !== null) box.current.open = false;
  };
  return (
    <details
      class="menu"
      ref={box}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || box.current?.open !== true) return;
        event.preventDefault();
        event.stopPropagation();
        close();
        box.current.querySelector('summary')?.focus();
      }}
      onFocusOut={(event) => {
        if (event.relatedTarget instanceof Node && box.current?.contains(event.relatedTarget) === false) close();
      }}
    >
      <summary class="button">{title} ▾</summary>
      <div class="menu-body menu-body-left">
        {names.map(([name, words]) => (
          <button
            key={name}
            type="button"
            class="menu-item"
            onClick={() => {
              close();
              onChoose(name);
            }}
          >
            {words}
          </button>
        ))}
      </div>
    </details>
  );
}

async function copySnippet(id: string, as: string): Promise<void> {
  try {
    const { text, note } = await getJson<{ text: string; note?: string | null }>(`/exchanges/${id}/snippet?as=${as}`);
    await copyText(text);
    tell(`Copied. ${note ?? ''}`);
  } catch (thrown) {
    tell(describeFailure(thrown));
  }
}

/** A page that is no secure context, as one from another machine, has no clipboard but that of its fields. */
async function copyText(text: string): Promise<void> {
  if (window.isSecureContext) return await navigator.clipboard.writeText(text);
  const field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand('copy');
  field.remove();
  if (!isCopied) throw new Error('The browser lets nothing be copied here.');
}

async function exportOne(id: string, format: string): Promise<void> {
  const response = await call('GET', `/export?format=${format}&id=${encodeURIComponent(id)}`);
  const name = /filename="([^"]*)"/.exec(response.headers.get('content-disposition') ?? '')?.[1];
  await saveAs(await response.blob(), name ?? `exchange.${format}`);
}

function Explanation({ summary }: { summary: ExchangeSummary }): JSX.Element {
  const { value } = useLoaded<ExplanationView | null>(`/exchanges/${summary.id}/explain`, summary.state);
  const said = textOf(summary.row['error_message']);
  return (
    <div class="explanation">
      <p>
        <b>{textOf(summary.row['error']) ?? `status ${String(summary.row['status'])}`}</b>
        {said !== undefined && <> · {said}</>}
      </p>
      {value !== undefined && value !== null && (
        <>
          <p>{value.cause}</p>
          <ul>
            {value.steps.map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ul>
          <p class="quiet">
            {RETRY[value.retry]}
            {value.link !== null && value.link.startsWith('https:') && (
              <>
                {' · '}
                <a href={value.link} target="_blank" rel="noreferrer noopener">
                  more about it
                </a>
              </>
            )}
          </p>
        </>
      )}
    </div>
  );
}

const RETRY = {
  never: 'To send it again cannot help.',
  later: 'It may go through if it is sent again later.',
  'after-fix': 'It goes through once that is mended.',
};

/** Shows it, and gives it the keyboard. */
function chooseTab(next: Tab): void {
  go({ tab: next }, { replace: true });
  requestAnimationFrame(() => document.getElementById(`tab-${next}`)?.focus());
}

function stepTab(by: number): void {
  const next = TABS[(TABS.indexOf(place.value.tab) + by + TABS.length) % TABS.length];
  if (next !== undefined) go({ tab: next }, { replace: true });
}

function Tabs({ tab }: { tab: Tab }): JSX.Element {
  return (
    <div class="tabs" role="tablist" aria-label="Views of the exchange">
      {TABS.map((name, at) => (
        <button
          key={name}
          id={`tab-${name}`}
          type="button"
          role="tab"
          class={name === tab ? 'tab tab-here' : 'tab'}
          aria-selected={name === tab}
          aria-controls="tab-panel"
          aria-keyshortcuts={String(at + 1)}
          tabIndex={name === tab ? 0 : -1}
          onClick={() => go({ tab: name }, { replace: true })}
          onKeyDown={(event) => {
            const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
            const next = step === undefined ? undefined : TABS[(at + step + TABS.length) % TABS.length];
            if (next === undefined) return;
            event.preventDefault();
            event.stopPropagation();
            chooseTab(next);
          }}
        >
          {TITLES[name]}
        </button>
      ))}
    </div>
  );
}

function keysFor(summary: ExchangeSummary): Parameters<typeof bindKeys>[0] {
  const { id, conversation } = summary;
  const mayReplay = serverState.value?.may_replay === true;
  const pinned = exchanges.value.find((each) => each.is_pinned && each.id !== id);
  return [
    { keys: [']'], does: 'next tab', run: () => stepTab(1) },
    { keys: ['['], does: 'tab before', run: () => stepTab(-1) },
    ...TABS.map((tab, at) => ({
      keys: [String(at + 1)],
      does: TITLES[tab],
      run: () => go({ tab }, { replace: true }),
    })),
    ...(mayReplay
      ? [
          { keys: ['r'], does: 'replay', run: () => void (opened.value = 'replay') },
          { keys: ['e'], does: 'edit and replay', run: () => void (opened.value = 'edit') },
        ]
      : []),
    ...(conversation === null || conversation.previous === null
      ? []
      : [
          {
            keys: ['d'],
            does: 'diff with the turn before',
            run: () => void (comparedWith.value = conversation.previous ?? undefined),
          },
        ]),
    ...(pinned === undefined
      ? []
      : [{ keys: ['D'], does: 'diff with the pinned one', run: () => void (comparedWith.value = pinned.id) }]),
    { keys: ['y'], does: 'copy as curl', run: () => void copySnippet(id, 'curl') },
    { keys: ['x'], does: 'export as HAR', run: () => void tellFailure(exportOne(id, 'har')) },
  ];
}
