/** Spend by day as stacked bars. The same figures stand in a table below it, for whoever cannot see them. */
import type { JSX } from 'preact';
import { findScale, formatScale, formatUsd, type SpendSeries } from './spend.ts';

const WIDTH = 960;
const HEIGHT = 220;
/** Of a figure, in a narrow window, where letters are larger than bars. */
const DIGIT = 11;
const BOTTOM = 22;
const TOP = 8;

/** `label`: what the picture shows, in a sentence. */
export function SpendPlot({ series, label }: { series: SpendSeries; label: string }): JSX.Element {
  const { bars } = series;
  const { top, lines } = findScale(Math.max(...bars.map((bar) => bar.totalUsd), 0));
  const left = 14 + DIGIT * Math.max(...lines.map((usd) => formatScale(usd).length));
  const height = (usd: number): number => (usd / top) * (HEIGHT - BOTTOM - TOP);
  const slot = (WIDTH - left) / Math.max(1, bars.length);
  const width = Math.max(1, Math.min(48, slot * 0.72));
  const everyNth = Math.ceil(bars.length / 10);
  return (
    <svg class="plot" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      {lines.map((usd) => (
        <g key={usd}>
          <line
            class="plot-line"
            x1={left}
            x2={WIDTH}
            y1={HEIGHT - BOTTOM - height(usd)}
            y2={HEIGHT - BOTTOM - height(usd)}
          />
          <text class="plot-text plot-text-right" x={left - 6} y={HEIGHT - BOTTOM - height(usd) + 4}>
            {formatScale(usd)}
          </text>
        </g>
      ))}
      {bars.map((bar, at) => {
        const x = left + at * slot + (slot - width) / 2;
        let y = HEIGHT - BOTTOM;
        return (
          <g key={bar.day}>
            {bar.parts.map((usd, part) => {
              const tall = height(usd);
              y -= tall;
              return tall > 0 ? (
                <rect key={part} class={`series-${part}`} x={x} y={y} width={width} height={tall} />
              ) : null;
            })}
            <rect class="plot-hit" x={left + at * slot} y={TOP} width={slot} height={HEIGHT - BOTTOM - TOP}>
              <title>{describeBar(bar.day, bar.totalUsd, bar.unpricedRequests)}</title>
            </rect>
            {bar.unpricedRequests > 0 && (
              <text class="plot-text plot-text-middle" x={x + width / 2} y={y - 3}>
                ?
              </text>
            )}
            {at % everyNth === 0 && (
              <text class="plot-text plot-text-middle" x={x + width / 2} y={HEIGHT - 6}>
                {bar.day.slice(5)}
              </text>
            )}
          </g>
        );
      })}
      <line class="plot-base" x1={left} x2={WIDTH} y1={HEIGHT - BOTTOM} y2={HEIGHT - BOTTOM} />
    </svg>
  );
}

function describeBar(day: string, usd: number, unpriced: number): string {
  return `${day}: ${formatUsd(usd)}${unpriced > 0 ? `, and ${unpriced} requests whose price is not known` : ''}`;
}
