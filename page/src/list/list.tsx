/**
 * The list of exchanges: a grid of which only the rows in sight are in the document. Rows have one height, so that a
 * position is a multiplication.
 */
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
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
    const added = rows.findIndex(({ id }) => id === before);
    if (added <= 0) return;
    if (element.scrollTop <= 0) return;
    element.scrollTop += added * ROW_PX;
    newCount.value += added;
  }, [rows]);

  useEffect(() => {
    if (scroll.value.top <= 0) newCount.value = 0;
  }, [scroll.value.top]);

  useLayoutEffect(() => {
    box.current?.style.setProperty('--columns', columns.map(({ width }) => width).join(' '));
  }, [columns.map(({ name }) => name).join()]);

  useEffect(() => {
    if (selectedId !== undefined)
      revealRow(
        box.current,
        rows.findIndex(({ id }) => id === selectedId),
      );
  }, [selectedId]);

  const { top, height } = scroll.value;
  const first = Math.max(0, Math.floor(top / ROW_PX) - SPARE_ROWS);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW_PX) + SPARE_ROWS);
  const isNearEnd = last >= rows.length - 20;
  useEffect(() => {
    if (isNearEnd && nextBefore.value !== undefined) void loadMore();
  }, [isNearEnd, rows.length]);
  const activeId = rows.some(({ id }) => id === selectedId) ? selectedId : rows[0]?.id;

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
            <span key={name} role="columnheader" class={isNumber === true ? 'cell cell-number' : 'cell'}>
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
            index={first + at}
            isSelected={exchange.id === selectedId}
            isActive={exchange.id === activeId}
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
  readonly index: number;
  readonly isSelected: boolean;
  readonly isActive: boolean;
}

function Row({ exchange, columns, index, isSelected, isActive }: RowProps): JSX.Element {
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
      onClick={() => go({ id: exchange.id })}
      onKeyDown={(event) => {
        if (event.key === 'Enter') go({ id: exchange.id });
      }}
    >
      {columns.map(({ name, isNumber, read }) => (
        <span key={name} role="gridcell" class={cellClass(isNumber, name === 'status' && hasFailed)}>
          {name === 'status' && hasFailed && <span aria-hidden="true">⚠ </span>}
          {name === 'number' && exchange.is_pinned && <span title="pinned">★ </span>}
          {read(exchange)}
        </span>
      ))}
      <span role="gridcell" class="second-line">
        {describeSecondLine(exchange)}
      </span>
    </div>
  );
}

function cellClass(isNumber: boolean | undefined, isBad: boolean): string {
  return ['cell', ...(isNumber === true ? ['cell-number'] : []), ...(isBad ? ['bad'] : [])].join(' ');
}

/** The exchange that is so many rows further down; the first or the last if there are not so many. */
export function findNeighbour(offset: number): ExchangeSummary | undefined {
  const rows = exchanges.value;
  const at = rows.findIndex(({ id }) => id === place.value.id);
  if (at === -1) return rows[0];
  return rows[Math.min(rows.length - 1, Math.max(0, at + offset))];
}

/** Gives the row the keyboard, once it is drawn. */
export function focusRow(id: string): void {
  requestAnimationFrame(() => document.getElementById(`row-${id}`)?.focus({ preventScroll: true }));
}
