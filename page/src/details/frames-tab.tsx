/** Every frame with its time, its gap and its checksum; those of a response under way appear as they come. */
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { ExchangeEvent, FramesView, FrameView } from '../../../src/inspector/wire.ts';
import { formatNumber } from '../format.ts';
import { getJson, openEvents } from '../api.ts';
import { escapeBidi, JsonTree } from './json-tree.tsx';
import { printHex } from './body.tsx';

const ROW_PX = 24;
const PAGE_FRAMES = 2_000;
/** Frames that are kept in the page. */
const MAX_FRAMES = 100_000;

/** `isOpen`: more may come. */
export function FramesTab({ id, isOpen }: { id: string; isOpen: boolean }): JSX.Element {
  const frames = useSignal<readonly FrameView[]>([]);
  const facts = useSignal<Pick<FramesView, 'protocol' | 'end' | 'problem'> | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  useEffect(() => {
    const abort = new AbortController();
    frames.value = [];
    const load = async (): Promise<void> => {
      let from = 0;
      for (;;) {
        const page = await getJson<FramesView>(
          `/exchanges/${id}/frames?from=${from}&limit=${PAGE_FRAMES}`,
          abort.signal,
        );
        facts.value = page;
        frames.value = [...frames.value, ...page.items];
        from += page.items.length;
        if (page.next === null || page.items.length === 0 || from >= MAX_FRAMES) break;
      }
      if (!isOpen) return;
      await openEvents(
        `/exchanges/${id}/events?from=${from}`,
        (event, data) => {
          const change = { event, ...(data as object) } as ExchangeEvent;
          if (change.event === 'frames') frames.value = [...frames.value, ...change.frames].slice(0, MAX_FRAMES);
        },
        abort.signal,
      );
      facts.value = await getJson<FramesView>(`/exchanges/${id}/frames?from=0&limit=1`, abort.signal);
    };
    load().catch((thrown: unknown) => {
      if (!abort.signal.aborted) problem.value = thrown instanceof Error ? thrown.message : String(thrown);
    });
    return () => abort.abort();
  }, [id]);
  if (problem.value !== undefined) return <p class="problem">{problem.value}</p>;
  const now = facts.value;
  if (now === undefined) return <p class="quiet">Loading …</p>;
  const isDuplex = frames.value.some(({ direction }) => direction === 'out');
  return (
    <div class="frames">
      <p class="quiet">
        {PROTOCOLS[now.protocol]} · {formatNumber(frames.value.length, now.protocol === 'chunks' ? 'piece' : 'frame')} ·{' '}
        <span class={now.end === 'cut' || now.end === 'exception' ? 'bad' : ''}>{ENDS[now.end]}</span>
      </p>
      {now.problem !== null && <p class="problem">{now.problem}</p>}
      {frames.value.length > 0 && <FrameTable frames={frames.value} isDuplex={isDuplex} isOpen={isOpen} />}
    </div>
  );
}

const PROTOCOLS = {
  'aws-event-stream': 'AWS event stream',
  sse: 'server-sent events',
  websocket: 'WebSocket',
  chunks: 'pieces as they came',
};
const ENDS = { open: 'more is coming', complete: 'complete', cut: 'cut off', exception: 'ended by an exception' };

function FrameTable({
  frames,
  isDuplex,
  isOpen,
}: {
  frames: readonly FrameView[];
  isDuplex: boolean;
  isOpen: boolean;
}): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const scroll = useSignal({ top: 0, height: 600 });
  const openIndex = useSignal<number | undefined>(undefined);
  const active = useSignal(0);
  const isAtEnd = useRef(isOpen);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const measure = (): void => {
      scroll.value = { top: element.scrollTop, height: element.clientHeight };
      const hidden = element.scrollHeight - element.clientHeight;
      isAtEnd.current = hidden > 0 && element.scrollTop >= hidden - ROW_PX;
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
  // Whoever is at the end sees what comes; whoever reads further up stays there.
  useLayoutEffect(() => {
    const element = box.current;
    if (element !== null && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [frames.length]);
  const first = Math.max(0, Math.floor(scroll.value.top / ROW_PX) - 10);
  const last = Math.min(frames.length, Math.ceil((scroll.value.top + scroll.value.height) / ROW_PX) + 10);
  const opened = openIndex.value === undefined ? undefined : frames[openIndex.value];
  const move = (to: number): void => {
    active.value = Math.min(frames.length - 1, Math.max(0, to));
    const element = box.current;
    if (element === null) return;
    const at = active.value * ROW_PX;
    if (at < element.scrollTop) element.scrollTop = at;
    if (at + ROW_PX * 2 > element.scrollTop + element.clientHeight)
      element.scrollTop = at + ROW_PX * 2 - element.clientHeight;
    requestAnimationFrame(() => document.getElementById(`frame-${active.value}`)?.focus({ preventScroll: true }));
  };
  return (
    <div class="frames-split">
      <div
        class={isDuplex ? 'frame-grid frame-grid-duplex' : 'frame-grid'}
        role="grid"
        aria-label="Frames"
        aria-rowcount={frames.length + 1}
        ref={box}
        onKeyDown={(event) => {
          const steps: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 };
          const step = steps[event.key];
          if (step !== undefined) move(active.value + step);
          else if (event.key === 'Enter') openIndex.value = openIndex.value === active.value ? undefined : active.value;
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      >
        <div class="frame-row frame-head" role="row" aria-rowindex={1}>
          {['#', '+ms', 'gap', 'bytes', 'type', 'crc', 'payload'].map((title, at) => (
            <span key={title} role="columnheader" class={at < 4 ? 'cell cell-number' : 'cell'}>
              {title}
            </span>
          ))}
        </div>
        <Gap rows={first} />
        {frames.slice(first, last).map((frame, at) => (
          <div
            key={first + at}
            id={`frame-${first + at}`}
            class={classOf(frame, openIndex.value === first + at)}
            role="row"
            aria-rowindex={first + at + 2}
            tabIndex={first + at === active.value ? 0 : -1}
            onClick={() => {
              active.value = first + at;
              openIndex.value = openIndex.value === first + at ? undefined : first + at;
            }}
          >
            <span role="gridcell" class="cell cell-number">
              {isDuplex && (frame.direction === 'in' ? '← ' : '→ ')}
              {frame.index + 1}
            </span>
            <span role="gridcell" class="cell cell-number">
              {frame.at_ms.toFixed(1)}
            </span>
            <span role="gridcell" class={frame.gap_ms > 1_000 ? 'cell cell-number warn' : 'cell cell-number'}>
              {frame.gap_ms.toFixed(0)}
            </span>
            <span role="gridcell" class="cell cell-number">
              {frame.size_bytes}
            </span>
            <span role="gridcell" class="cell" title={frame.type}>
              {frame.type}
            </span>
            <span role="gridcell" class={frame.crc === 'bad' ? 'cell bad' : 'cell'} title={frame.crc_problem ?? ''}>
              {frame.crc === 'none' ? '–' : frame.crc}
            </span>
            <span role="gridcell" class="cell frame-payload">
              {onOneLine(frame)}
            </span>
          </div>
        ))}
        <Gap rows={frames.length - last} />
      </div>
      {opened !== undefined && <FrameDetails frame={opened} />}
    </div>
  );
}

function classOf(frame: FrameView, isOpen: boolean): string {
  const isBad = frame.is_exception || frame.crc === 'bad';
  return ['frame-row', ...(isBad ? ['frame-bad'] : []), ...(isOpen ? ['row-selected'] : [])].join(' ');
}

function Gap({ rows }: { rows: number }): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    element.current?.style.setProperty('height', `${Math.max(0, rows) * ROW_PX}px`);
  }, [rows]);
  return <div ref={element} role="presentation" />;
}

function onOneLine({ payload }: FrameView): string {
  if ('json' in payload) return escapeBidi(JSON.stringify(payload.json).slice(0, 400));
  if ('text' in payload) return escapeBidi(payload.text.slice(0, 400));
  return `base64 ${payload.base64.slice(0, 200)}`;
}

function FrameDetails({ frame }: { frame: FrameView }): JSX.Element {
  const { payload } = frame;
  return (
    <section class="frame-details" aria-label={`Frame ${frame.index + 1}`}>
      <p>
        <b>
          {frame.index + 1} · {frame.type}
        </b>{' '}
        <span class="quiet">
          bytes {frame.offset}–{frame.offset + frame.size_bytes}
        </span>
      </p>
      {frame.crc_problem !== null && <p class="problem">{frame.crc_problem}</p>}
      {frame.headers.length > 0 && (
        <table class="headers">
          <tbody>
            {frame.headers.map(([name, type, value]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>
                  {value} <span class="quiet">{type}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <div class="code">
        {'json' in payload && <JsonTree json={payload.json} />}
        {'text' in payload && <pre class="raw">{payload.text}</pre>}
        {'base64' in payload && (
          <pre class="raw">
            {printHex(Uint8Array.from(atob(payload.base64), (character) => character.charCodeAt(0)))}
          </pre>
        )}
      </div>
    </section>
  );
}
