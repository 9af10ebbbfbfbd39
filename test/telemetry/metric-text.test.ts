import { expect, it } from 'vitest';
import { renderMetrics } from '../../src/telemetry/metric-text.ts';

it('writes name, help and type of each metric once, then its lines, labels in their order', () => {
  const text = renderMetrics([
    {
      name: 'requests_total',
      help: 'Requests.',
      type: 'counter',
      samples: () => [
        ['', { model: 'a', status: '200' }, 2],
        ['', { model: 'b', status: 'none' }, 0.5],
      ],
    },
    { name: 'seconds', help: 'Time.', type: 'histogram', samples: () => [['_sum', {}, 1e21]] },
    { name: 'nothing', help: 'No line.', type: 'gauge', samples: () => [] },
  ]);
  expect(text).toBe(`# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{model="a",status="200"} 2
requests_total{model="b",status="none"} 0.5

# HELP seconds Time.
# TYPE seconds histogram
seconds_sum 1e+21

# HELP nothing No line.
# TYPE nothing gauge
`);
});

it('escapes what would end a label', () => {
  const text = renderMetrics([
    { name: 'm', help: 'M.', type: 'gauge', samples: () => [['', { model: '\\n"\n\\"' }, 1]] },
  ]);
  expect(text.split('\n').at(-2)).toBe('m{model="\\\\n\\"\\n\\\\\\""} 1');
});
