/**
 * The list of exchanges: a grid of which only the rows in sight are in the document. Rows have one height, so that a
 * position is a multiplication.
 */
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { ExchangeSummary } from '../../../src/inspector/wire.ts';
import { go, place } from '../routes.ts';
import { type Column, COLUMNS, describeSecondLine, hiddenColumns } from './columns.ts';
import { exchanges, isError, loadMore, nextBefore } from './exchanges.ts';

/** Of a row, as `--row` of the style sheet has it. */
const ROW_PX = 44;
const HEAD_PX = 26;
/** Rows beyond the edges that are drawn, so that none is missing while one scrolls. */
const SPARE_ROWS = 12;

/** The row that has the keyboard, or had it last. */
const activeId = signal<string | undefined>(undefined);
/** Whether the newest is always the one that is shown. */
export const isFollowing = signal(false);
/** The row that gets the keyboard as soon as it is drawn. */
let awaitedId: string | undefined;

/** The grid. */
export function ExchangeGrid(): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const scroll = useSignal({ top: 0, height: 600, width: 1_200 });
  const newCount = useSignal(0);
  const firstId = useRef<string | undefined>(undefined);
  const columns = COLUMNS.filter(
    ({ name, fitsFrom = 0 }) => !hiddenColumns.value.has(name) && scroll.value.width >= fitsFrom,
  );
  const rows = exchanges.value;
  const { id: selectedId } = place.value;
  const current = findActive();

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const measure = (): void => {
      scroll.value = { top: element.scrollTop, height: element.clientHeight, width: element.clientWidth };
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', measure);
    };
  }, []);

  // What is read stays where it is when rows come above it.
  useLayoutEffect(() => {
    const element = box.current;
    const before = firstId.current;
    firstId.current = rows[0]?.id;
    if (element === null || before === undefined || before === rows[0]?.id) return;
    const [newest] = rows;
    if (isFollowing.value && newest !== undefined) {
      openRow(newest.id);
      element.scrollTop = 0;
      return;
    }
    const added = rows.findIndex(({ id }) => id === before);
    if (added <= 0 || element.scrollTop <= 0) return;
    element.scrollTop += added * ROW_PX;
    newCount.value += added;
  }, [rows]);

  useEffect(() => {
    if (scroll.value.top <= 0) newCount.value = 0;
  }, [scroll.value.top]);

  useLayoutEffect(() => {
    box.current?.style.setProperty('--columns', columns.map(({ width }) => width).join(' '));
  }, [columns.map(({ name }) => name).join()]);

  useLayoutEffect(() => {
    const at = rows.findIndex(({ id }) => id === current);
    if (activeId.value !== undefined || selectedId !== undefined) revealRow(box.current, at);
  }, [current, selectedId]);

  useLayoutEffect(() => {
    const row = awaitedId === undefined ? null : document.getElementById(`row-${awaitedId}`);
    if (row === null) return;
    awaitedId = undefined;
    row.focus({ preventScroll: true });
  });

  const { top, height } = scroll.value;
  const first = Math.max(0, Math.floor(top / ROW_PX) - SPARE_ROWS);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW_PX) + SPARE_ROWS);
  const isNearEnd = last >= rows.length - 20;
  useEffect(() => {
    if (isNearEnd && nextBefore.value !== undefined) void loadMore();
  }, [isNearEnd, rows.length]);
  const shown = new Set(columns.map(({ name }) => name));

  return (
    <div class="list">
      <div
        class="grid"
        role="grid"
        aria-label="Exchanges, the newest first"
        aria-rowcount={rows.length + 1}
        aria-colcount={columns.length}
        ref={box}
      >
        <div class="grid-head" role="row" aria-rowindex={1}>
          {columns.map(({ name, title, isNumber }) => (
            <span key={name} role="columnheader" class={cellClass(name, isNumber, false)}>
              {title}
            </span>
          ))}
        </div>
        <Spacer rows={first} />
        {rows.slice(first, last).map((exchange, at) => (
          <Row
            key={exchange.id}
            exchange={exchange}
            columns={columns}
            shown={shown}
            index={first + at}
            isSelected={exchange.id === selectedId}
            isActive={exchange.id === current}
          />
        ))}
        <Spacer rows={rows.length - last} />
      </div>
      {newCount.value > 0 && (
        <button
          type="button"
          class="button new-rows"
          onClick={() => {
            newCount.value = 0;
            box.current?.scrollTo({ top: 0 });
          }}
        >
          ↑ {newCount.value} new
        </button>
      )}
    </div>
  );
}

function Spacer({ rows }: { rows: number }): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    element.current?.style.setProperty('height', `${Math.max(0, rows) * ROW_PX}px`);
  }, [rows]);
  return <div ref={element} role="presentation" />;
}

function revealRow(box: HTMLDivElement | null, index: number): void {
  if (box === null || index < 0) return;
  const [from, to] = [index * ROW_PX, index * ROW_PX + ROW_PX];
  const seen = box.clientHeight - HEAD_PX;
  if (from < box.scrollTop) box.scrollTop = from;
  else if (to > box.scrollTop + seen) box.scrollTop = to - seen;
}

interface RowProps {
  readonly exchange: ExchangeSummary;
  readonly columns: readonly Column[];
  readonly shown: ReadonlySet<string>;
  readonly index: number;
  readonly isSelected: boolean;
  readonly isActive: boolean;
}

function Row({ exchange, columns, shown, index, isSelected, isActive }: RowProps): JSX.Element {
  const hasFailed = isError(exchange.row);
  const classes = ['row'];
  if (hasFailed) classes.push('row-error');
  if (isSelected) classes.push('row-selected');
  if (exchange.state === 'open') classes.push('row-open');
  return (
    <div
      class={classes.join(' ')}
      role="row"
      id={`row-${exchange.id}`}
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      tabIndex={isActive ? 0 : -1}
      onClick={() => openRow(exchange.id)}
      onFocus={() => (activeId.value = exchange.id)}
    >
      {columns.map(({ name, isNumber, read }) => (
        <span key={name} role="gridcell" class={cellClass(name, isNumber, name === 'status' && hasFailed)}>
          {name === 'status' && hasFailed && <span aria-hidden="true">⚠ </span>}
          {read(exchange)}
        </span>
      ))}
      <span role="gridcell" class="second-line">
        {describeSecondLine(exchange, shown)}
      </span>
    </div>
  );
}

function cellClass(name: string, isNumber: boolean | undefined, isBad: boolean): string {
  return ['cell', `cell-${name}`, ...(isNumber === true ? ['cell-number'] : []), ...(isBad ? ['bad'] : [])].join(' ');
}

/** The one that has the keyboard; else the one that is shown; else the newest. */
function findActive(): string | undefined {
  const rows = exchanges.value;
  const { id: selectedId } = place.value;
  const found = [activeId.value, selectedId].find((wanted) => rows.some(({ id }) => id === wanted));
  return found ?? rows[0]?.id;
}

/** The exchange of that row. */
export function activeExchange(): ExchangeSummary | undefined {
  const id = findActive();
  return exchanges.value.find((each) => each.id === id);
}

/** Gives the keyboard to the row that is so many further down; what is shown goes with it. */
export function walk(offset: number): void {
  const rows = exchanges.value;
  const at = rows.findIndex(({ id }) => id === findActive());
  const isFirst = activeId.value === undefined && place.value.id === undefined;
  const next = rows[Math.min(rows.length - 1, Math.max(0, isFirst && Math.abs(offset) === 1 ? 0 : at + offset))];
  if (next === undefined) return;
  activeId.value = next.id;
  if (place.value.id !== undefined) go({ id: next.id }, { replace: true });
  focusRow(next.id);
}

/** Shows it. */
export function openRow(id: string): void {
  activeId.value = id;
  go({ view: 'exchanges', id }, { replace: place.value.id !== undefined });
}

/** Gives the row the keyboard, once it is drawn. */
export function focusRow(id: string): void {
  activeId.value = id;
  const row = document.getElementById(`row-${id}`);
  if (row === null) awaitedId = id;
  else row.focus({ preventScroll: true });
}
