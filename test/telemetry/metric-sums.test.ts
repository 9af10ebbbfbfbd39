import { expect, it } from 'vitest';
import { addMetrics, keepCounts } from '../../src/telemetry/metric-sums.ts';
import { type MetricReading, renderMetrics, type Sample } from '../../src/telemetry/metric-text.ts';

const counter = (...samples: Sample[]): MetricReading => ({ name: 'c_total', help: 'C.', type: 'counter', samples });
const gauge = (value: number): MetricReading => ({ name: 'g', help: 'G.', type: 'gauge', samples: [['', {}, value]] });
const cost = (value: number): MetricReading => ({ ...counter(['', {}, value]), divisor: 1e9 });
const memory = (value: number): MetricReading => ({ ...gauge(value), name: 'm', isOfProcess: true });

function linesOf(byWorker: Record<string, MetricReading[]>, ended: MetricReading[] = []): string[] {
  const text = renderMetrics(addMetrics(new Map(Object.entries(byWorker)), ended));
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

it('adds up lines with the same labels, and leaves the others', () => {
  const one = [counter(['', { a: 'x' }, 1], ['', { a: 'y' }, 2]), gauge(3)];
  const two = [counter(['', { a: 'y' }, 10], ['', { a: 'z' }, 20]), gauge(4)];
  expect(linesOf({ 1: one, 2: two })).toEqual(['c_total{a="x"} 1', 'c_total{a="y"} 12', 'c_total{a="z"} 20', 'g 7']);
});

it('tells what is of one process of each', () => {
  expect(linesOf({ 1: [memory(5)], primary: [memory(6)] })).toEqual(['m{worker="1"} 5', 'm{worker="primary"} 6']);
});

it('adds up money exactly', () => {
  expect(linesOf({ 1: [cost(100_000_000)], 2: [cost(200_000_000)] })).toEqual(['c_total 0.3']);
});

it('keeps what an ended process has counted, and nothing that was under way in it', () => {
  const ended = keepCounts([counter(['', { a: 'x' }, 100])], [counter(['', { a: 'x' }, 20]), gauge(7), memory(8)]);
  expect(linesOf({ 1: [counter(['', { a: 'x' }, 3]), gauge(1), memory(2)] }, ended)).toEqual([
    'c_total{a="x"} 123',
    'g 1',
    'm{worker="1"} 2',
  ]);
});
