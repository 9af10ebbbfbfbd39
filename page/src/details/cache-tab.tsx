/** The cache doctor's finding: what was read, what was written, what differs, and what it cost. */
import type { JSX } from 'preact';
import type { CacheView } from '../../../src/inspector/wire.ts';
import { formatBytes, formatDollars } from '../format.ts';
import { go } from '../routes.ts';
import { useLoaded } from './loaded.ts';

const STATES = {
  hit: 'read from the cache',
  written: 'written to it',
  changed: 'changed',
  same: 'the same as before',
  after: 'after the last marker',
};
const WIDTH = 900;

/** The tab. */
export function CacheTab({ id, version }: { id: string; version: unknown }): JSX.Element {
  const { value, problem, isLoading } = useLoaded<CacheView | null>(`/exchanges/${id}/cache`, version);
  if (problem !== undefined) return <p class="problem">{problem}</p>;
  if (isLoading && value === undefined) return <p class="quiet">Loading …</p>;
  if (value === undefined || value === null) {
    return (
      <p class="quiet">The doctor has not looked at this one: it is no prompt, or it came before the doctor did.</p>
    );
  }
  const { verdict, confidence, says, advice, pointer, bytes, previous_bytes: previousBytes, change, money } = value;
  const figures: readonly (readonly [string, string | null])[] = [
    ['it cost', money.actual_usd],
    ['with the cache read', money.with_hit_usd],
    ['without any marker', money.without_markers_usd],
    ['lost', money.lost_usd],
  ];
  return (
    <div class="cache">
      <p class="verdict">
        <span class={`tag verdict-${verdict}`}>{verdict}</span> <span class="quiet">{confidence}</span>
      </p>
      <p>{says}</p>
      {advice !== null && (
        <p class="advice">
          <b>What to do:</b> {advice}
        </p>
      )}
      {value.segments.length > 0 && <Segments segments={value.segments} />}
      {pointer !== null && (
        <p>
          <span class="quiet">where</span> <code>{pointer}</code>
          {bytes !== null && <>, bytes {describeRange(bytes)}</>}
          {previousBytes !== null && <span class="quiet"> (before: {describeRange(previousBytes)})</span>}
          {change !== null && <> · {change}</>}
        </p>
      )}
      {(value.before !== null || value.after !== null) && (
        <div class="layers">
          <section class="layer">
            <h3>before</h3>
            <pre class="code raw">{value.before ?? ''}</pre>
          </section>
          <section class="layer">
            <h3>now</h3>
            <pre class="code raw">{value.after ?? ''}</pre>
          </section>
        </div>
      )}
      {figures.some(([, usd]) => usd !== null) && (
        <table class="figures">
          <tbody>
            {figures
              .filter(([, usd]) => usd !== null)
              .map(([name, usd]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td class="cell-number">{formatDollars(usd)}</td>
                </tr>
              ))}
          </tbody>
        </table>
      )}
      {value.previous !== null && (
        <button type="button" class="button" onClick={() => go({ id: value.previous ?? undefined, tab: 'cache' })}>
          The request it is compared with
        </button>
      )}
    </div>
  );
}

function Segments({ segments }: Pick<CacheView, 'segments'>): JSX.Element {
  const all = Math.max(
    1,
    segments.reduce((sum, { size_bytes: size }) => sum + size, 0),
  );
  let x = 0;
  return (
    <figure class="segments">
      <svg
        viewBox={`0 0 ${WIDTH} 34`}
        role="img"
        aria-label="The prompt in the order in which the model sees it; the table below has the same"
      >
        {segments.map(({ pointer, size_bytes: size, state, has_marker: hasMarker }) => {
          const from = x;
          const width = Math.max(2, (size / all) * (WIDTH - segments.length * 2));
          x += width;
          return (
            <g key={pointer}>
              <rect class={`segment segment-${state}`} x={from} y={6} width={Math.max(1, width - 1)} height={20}>
                <title>{`${pointer}: ${STATES[state]}, ${formatBytes(size)}`}</title>
              </rect>
              {hasMarker && <path class="marker" d={`M ${x - 1} 2 v 30`} />}
            </g>
          );
        })}
      </svg>
      <figcaption>
        <details>
          <summary class="quiet">{segments.length} parts of the prompt</summary>
          <table class="figures">
            <tbody>
              {segments.map(({ pointer, size_bytes: size, state, has_marker: hasMarker }) => (
                <tr key={pointer}>
                  <th scope="row">
                    <code>{pointer}</code>
                  </th>
                  <td class="cell-number">{formatBytes(size)}</td>
                  <td>{STATES[state]}</td>
                  <td>{hasMarker ? 'marker' : ''}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      </figcaption>
    </figure>
  );
}

/** As the doctor's sentence has it: the last byte is one of them. */
function describeRange([from, to]: readonly [from: number, to: number]): string {
  const [first, last] = [from, Math.max(from, to - 1)].map((at) => at.toLocaleString('en-US'));
  return `${first}–${last}`;
}
