import { describe, expect, it } from 'vitest';
import { parseTraceparent } from '../../src/http/traceparent.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN_ID = '00f067aa0ba902b7';

describe('traceparent', () => {
  it.each([
    { name: 'a sampled one', value: `00-${TRACE_ID}-${SPAN_ID}-01`, traceFlags: 1 },
    { name: 'one that is not sampled', value: `00-${TRACE_ID}-${SPAN_ID}-00`, traceFlags: 0 },
    { name: 'one with white space around', value: ` 00-${TRACE_ID}-${SPAN_ID}-01 `, traceFlags: 1 },
    { name: 'one of a later version', value: `cc-${TRACE_ID}-${SPAN_ID}-03-what-comes`, traceFlags: 3 },
  ])('reads traceparent: $name', ({ value, traceFlags }) => {
    expect(parseTraceparent(value)).toEqual({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags });
  });

  it.each([
    { name: 'none', value: undefined },
    { name: 'nothing', value: '' },
    { name: 'version ff', value: `ff-${TRACE_ID}-${SPAN_ID}-01` },
    { name: 'more than version 00 has', value: `00-${TRACE_ID}-${SPAN_ID}-01-more` },
    { name: 'a trace of zeros', value: `00-${'0'.repeat(32)}-${SPAN_ID}-01` },
    { name: 'a span of zeros', value: `00-${TRACE_ID}-${'0'.repeat(16)}-01` },
    { name: 'capitals', value: `00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-01` },
    { name: 'a list of two', value: `00-${TRACE_ID}-${SPAN_ID}-01,00-${TRACE_ID}-${SPAN_ID}-01` },
    { name: 'something long', value: '0'.repeat(60_000) },
  ])('ignores traceparent: $name', ({ value }) => {
    expect(parseTraceparent(value)).toBeUndefined();
  });
});
