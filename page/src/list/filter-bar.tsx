/** The filter: what is typed is sent to the server, which says what is wrong with it; fields and values are offered. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { go, place } from '../routes.ts';
import { serverState } from '../state.ts';
import { filterProblem, totals } from './exchanges.ts';

/** Fields of the language, each with an example: those of docs/inspector.md. */
const FILTER_FIELDS: readonly (readonly [field: string, example: string])[] = [
  ['model', 'model:*haiku*'],
  ['op', 'op:converse*'],
  ['status', 'status:4xx'],
  ['error', 'error:Throttl*'],
  ['key', 'key:alice'],
  ['is', 'is:stream, is:error, is:open, is:pinned, is:replay, is:retry, is:cut'],
  ['has', 'has:thinking, has:tool, has:image, has:exception'],
  ['ttfb', 'ttfb:>2s'],
  ['time', 'time:>10s'],
  ['gap', 'gap:>500ms'],
  ['in', 'in:>100k'],
  ['out', 'out:<10'],
  ['cached', 'cached:>1k'],
  ['written', 'written:>1k'],
  ['cost', 'cost:>$0.05'],
  ['cache', 'cache:changed'],
  ['size', 'size:>1mb'],
  ['answer', 'answer:>1mb'],
  ['client', 'client:*claude*'],
  ['service', 'service:bedrock-runtime'],
  ['region', 'region:eu-*'],
  ['profile', 'profile:us.*'],
  ['tool', 'tool:read_file'],
  ['stop', 'stop:max_tokens'],
  ['body', 'body:"needle"'],
  ['request', 'request:/tool_\\d+/'],
  ['text', 'text:"off-by-one"'],
  ['header', 'header:anthropic-beta=*'],
  ['conv', 'conv:01a2…'],
  ['id', 'id:01a2…'],
  ['since', 'since:10m'],
  ['fault', 'fault:throttle*'],
];
const TYPING_MS = 200;

/** The bar above the list. */
export function FilterBar(): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const isOpen = useSignal(false);
  const active = useSignal(-1);
  const typed = useSignal(place.value.filter);
  const offers = isOpen.value ? findOffers(typed.value) : [];
  const apply = (text: string): void => {
    typed.value = text;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      go({ filter: text.trim() }, { replace: true });
    }, TYPING_MS);
  };
  const take = (field: string): void => {
    apply(typed.value.replace(/[^\s()|-]*$/, `${field}:`));
    active.value = -1;
    input.current?.focus();
  };
  // Back, a bookmark or a button has changed it.
  const { filter } = place.value;
  useEffect(() => {
    if (typed.value.trim() !== filter) typed.value = filter;
  }, [filter]);
  const problem = filterProblem.value;
  const { exchanges: count, errors, usd, cachedShare } = totals.value;
  return (
    <div class="filter-bar">
      <div class="filter-box">
        <input
          ref={input}
          id="filter"
          class="field filter"
          type="search"
          list={undefined}
          placeholder="Filter: model:*sonnet* status:>=400   ( / )"
          aria-label="Filter"
          aria-keyshortcuts="/"
          role="combobox"
          aria-autocomplete="list"
          aria-expanded={offers.length > 0}
          aria-controls="filter-offers"
          aria-invalid={problem !== undefined}
          aria-describedby={problem === undefined ? undefined : 'filter-problem'}
          {...(active.value >= 0 ? { 'aria-activedescendant': `offer-${active.value}` } : {})}
          spellcheck={false}
          autocomplete="off"
          value={typed.value}
          onInput={(event) => {
            isOpen.value = true;
            active.value = -1;
            apply(event.currentTarget.value);
          }}
          onFocus={() => (isOpen.value = true)}
          onBlur={() => (isOpen.value = false)}
          onKeyDown={(event) => {
            if (event.key === 'ArrowDown' && offers.length > 0) {
              active.value = (active.value + 1) % offers.length;
              event.preventDefault();
            } else if (event.key === 'ArrowUp' && offers.length > 0) {
              active.value = (active.value - 1 + offers.length) % offers.length;
              event.preventDefault();
            } else if (event.key === 'Enter') {
              const [field] = offers[active.value] ?? [];
              if (field !== undefined) take(field);
              else isOpen.value = false;
            } else if (event.key === 'Escape') {
              if (isOpen.value && offers.length > 0) isOpen.value = false;
              else event.currentTarget.blur();
              event.preventDefault();
              event.stopPropagation();
            }
          }}
        />
        <ul
          id="filter-offers"
          class={offers.length > 0 ? 'offers' : 'offers offers-closed'}
          role="listbox"
          aria-label="Fields"
        >
          {offers.map(([field, example], at) => (
            <li
              key={field}
              id={`offer-${at}`}
              role="option"
              aria-selected={at === active.value}
              class={at === active.value ? 'offer offer-active' : 'offer'}
              onMouseDown={(event) => {
                event.preventDefault();
                take(field);
              }}
            >
              <b>{field}:</b> <span class="quiet">{example}</span>
            </li>
          ))}
        </ul>
      </div>
      <span class="totals">
        <b>{count}</b> {describeAll(count, filter)} ·{' '}
        {usd === 0 ? '$0' : `$${usd < 0.01 ? usd.toPrecision(2) : usd.toFixed(2)}`}
        {cachedShare !== undefined && ` · cache ${Math.round(cachedShare * 100)} %`}
        {errors > 0 && (
          <>
            {' · '}
            <span class="bad">
              {errors} {errors === 1 ? 'error' : 'errors'}
            </span>
          </>
        )}
      </span>
      {problem !== undefined && (
        <p id="filter-problem" class="problem filter-problem" role="alert">
          {problem} <Position problem={problem} text={filter} />
        </p>
      )}
    </div>
  );
}

/** The place in the filter that the server names, as its message says "at character 7". */
function Position({ problem, text }: { problem: string; text: string }): JSX.Element | null {
  const at = Number(/at character (\d+)/.exec(problem)?.[1] ?? 0) - 1;
  if (at < 0) return null;
  return (
    <code class="filter-position">
      {text.slice(0, at)}
      <mark>{text.slice(at).trimEnd() === '' ? '…' : text.slice(at)}</mark>
    </code>
  );
}

function describeAll(count: number, filter: string): string {
  const all = serverState.value?.exchanges ?? 0;
  return filter !== '' && all > count ? `of ${all}` : 'shown';
}

/** Fields that begin as the last word does; nothing once it has a colon. */
function findOffers(text: string): readonly (readonly [field: string, example: string])[] {
  const [word = ''] = /[^\s()|-]*$/.exec(text) ?? [];
  if (word.includes(':')) return [];
  return FILTER_FIELDS.filter(([field]) => field.startsWith(word.toLowerCase())).slice(0, 12);
}
