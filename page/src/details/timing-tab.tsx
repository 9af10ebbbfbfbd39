/** Where the time went, as bars on one scale, and when each piece of the response came. */
import type { JSX } from 'preact';
import type { TimingView } from '../../../src/inspector/wire.ts';
import { formatBytes, formatMs, formatNumber } from '../format.ts';

const WIDTH = 900;
const ROW = 24;
const LEFT = 130;

const STEPS: Readonly<Record<string, string>> = {
  authenticate: 'who calls',
  body: 'reading the body',
  admit: 'limits and budget',
  sign: 'signing',
  connect: 'connection',
  wait: 'waiting for AWS',
  response: 'response',
  settle: 'the rest',
};

/** The tab. */
export function TimingTab({ timing }: { timing: TimingView }): JSX.Element {
  const { steps, total_ms: total, overhead_ms: overhead, model_latency_ms: latency, pieces } = timing;
  const end = Math.max(total ?? 0, ...steps.map(({ to_ms: to }) => to), 0.001);
  const scale = (ms: number): number => LEFT + (ms / end) * (WIDTH - LEFT - 90);
  const height = (steps.length + 1) * ROW + 24;
  return (
    <div class="timing">
      <p>
        <b>{formatMs(total)}</b> in all
        {overhead !== null && (
          <>
            {' · '}
            <b>{formatMs(overhead)}</b> of it are the proxy's own
          </>
        )}
        {latency !== null && (
          <>
            {' · '}
            <b>{formatMs(latency)}</b> took the model, by AWS
          </>
        )}
      </p>
      {steps.length === 0 ? (
        <p class="quiet">Its steps were not kept.</p>
      ) : (
        <svg
          class="timing-plot"
          viewBox={`0 0 ${WIDTH} ${height}`}
          role="img"
          aria-label="Steps of the exchange, as in the table below"
        >
          {steps.map(({ name, from_ms: from, to_ms: to }, at) => (
            <g key={name}>
              <text class="plot-text" x={0} y={at * ROW + 16}>
                {name}
              </text>
              <rect
                class={`step step-${name}`}
                x={scale(from)}
                y={at * ROW + 4}
                width={Math.max(1.5, scale(to) - scale(from))}
                height={ROW - 8}
              />
              <text class="plot-text" x={scale(to) + 6} y={at * ROW + 16}>
                {formatMs(to - from)}
              </text>
            </g>
          ))}
          <text class="plot-text" x={0} y={steps.length * ROW + 16}>
            pieces
          </text>
          {pieces.map(([ms], at) => (
            <line
              key={at}
              class="piece"
              x1={scale(ms)}
              x2={scale(ms)}
              y1={steps.length * ROW + 4}
              y2={steps.length * ROW + ROW - 4}
            />
          ))}
        </svg>
      )}
      <table class="figures">
        <thead>
          <tr>
            <th scope="col">step</th>
            <th scope="col">what it is</th>
            <th scope="col">from, ms</th>
            <th scope="col">took, ms</th>
          </tr>
        </thead>
        <tbody>
          {steps.map(({ name, from_ms: from, to_ms: to }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{STEPS[name] ?? ''}</td>
              <td class="cell-number">{from.toFixed(1)}</td>
              <td class="cell-number">{(to - from).toFixed(1)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {pieces.length > 0 && (
        <p class="quiet">
          {formatNumber(pieces.length, 'piece')}, {formatBytes(pieces.reduce((sum, [, size]) => sum + size, 0))}
          {pieces.length > 1 && `; the longest pause ${formatMs(longestPause(pieces))}`}
        </p>
      )}
    </div>
  );
}

function longestPause(pieces: TimingView['pieces']): number {
  return pieces.reduce((longest, [ms], at) => Math.max(longest, at === 0 ? 0 : ms - (pieces[at - 1]?.[0] ?? ms)), 0);
}
