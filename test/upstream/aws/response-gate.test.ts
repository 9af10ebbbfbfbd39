import type { Dispatcher } from 'undici';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type KeptResponse, ResponseGate, toHeldResponse } from '../../../src/upstream/aws/response-gate.ts';
import { FAILOVER_JUDGE } from '../../../src/upstream/failover/verdict.ts';
import { eventFrame, exceptionFrame } from '../../helpers/event-frames.ts';

const STREAM = ['content-type', 'application/vnd.amazon.eventstream'];
const EXCEPTION = exceptionFrame('throttlingException', 'no');
const TEXT = eventFrame('contentBlockDelta', { delta: { text: 'Hello' } });

function controllerOf(rawHeaders: string[]): Dispatcher.DispatchController {
  const idle = { pause: () => {}, resume: () => {}, abort: () => {} };
  return { aborted: false, paused: false, reason: null, rawHeaders, rawTrailers: null, ...idle };
}

/** A relay that writes down what it gets. */
function openRelay(onEnd = (): void => {}) {
  const got: { status?: number; bytes: Buffer; calls: string[] } = { bytes: Buffer.alloc(0), calls: [] };
  const relay = {
    isOver: false,
    onRequestStart: () => void got.calls.push('request'),
    onRequestUpgrade: () => void got.calls.push('upgrade'),
    onResponseStart: (_controller: Dispatcher.DispatchController, status: number) => {
      got.calls.push('head');
      got.status = status;
    },
    onResponseData: (_controller: Dispatcher.DispatchController, chunk: Buffer) => {
      got.bytes = Buffer.concat([got.bytes, chunk]);
    },
    onResponseEnd: () => {
      got.calls.push('end');
      onEnd();
    },
    onResponseError: (_controller: Dispatcher.DispatchController, error: Error) => void got.calls.push(error.message),
  };
  return { got, relay };
}

function open(signal = new AbortController().signal) {
  const { got, relay } = openRelay();
  const held: KeptResponse[] = [];
  const onHeld = (response: KeptResponse): void => void held.push(response);
  return { gate: new ResponseGate({ relay, judge: FAILOVER_JUDGE, signal, onHeld }), got, held };
}

function respond(gate: ResponseGate, status: number, rawHeaders: string[], chunks: readonly Buffer[]): void {
  const controller = controllerOf(rawHeaders);
  gate.onResponseStart(controller, status, {}, 'Reason');
  for (const chunk of chunks) gate.onResponseData(controller, chunk);
  gate.onResponseEnd(controller, {});
}

afterEach(() => void vi.useRealTimers());

describe('a response', () => {
  it('passes as it comes if it is no trouble', () => {
    const { gate, got, held } = open();
    respond(gate, 200, ['content-type', 'application/json'], [Buffer.from('{'), Buffer.from('}')]);
    expect([got.status, got.bytes.toString(), got.calls, held]).toEqual([200, '{}', ['head', 'end'], []]);
  });

  it('is held if it is, and passes unchanged if it is released', async () => {
    const { gate, got, held } = open();
    respond(gate, 429, ['X-Amzn-ErrorType', 'ThrottlingException:x'], [Buffer.from('{"mess'), Buffer.from('age":1}')]);
    expect(got.calls).toEqual([]);
    const [kept] = held;
    if (kept === undefined) throw new Error('nothing was held');
    let other: ReturnType<typeof openRelay>['got'] | undefined;
    const response = toHeldResponse(kept, new AbortController().signal, (resolve) => {
      const opened = openRelay(resolve);
      other = opened.got;
      return opened.relay;
    });
    expect(response).toMatchObject({ status: 429, errorType: 'ThrottlingException' });
    await response.release();
    expect(other).toMatchObject({ status: 429, calls: ['request', 'head', 'end'] });
    expect(other?.bytes.toString()).toBe('{"message":1}');
  });

  it('is not released to a client that has left', async () => {
    const { gate, held } = open();
    respond(gate, 429, [], []);
    const [kept] = held;
    if (kept === undefined) throw new Error('nothing was held');
    const response = toHeldResponse(kept, AbortSignal.abort(), () => expect.unreachable('nobody is there'));
    await expect(response.release()).rejects.toMatchObject({ code: 'ERR_CLIENT_GONE' });
  });

  it.each([
    { name: 'says that it is large', headers: ['content-length', '70000'], chunks: [Buffer.from('x')] },
    { name: 'is large', headers: [], chunks: Array.from({ length: 8 }, () => Buffer.alloc(10_000)) },
  ])('passes if it $name', ({ headers, chunks }) => {
    const { gate, got, held } = open();
    respond(gate, 503, headers, chunks);
    expect([got.status, got.bytes.length, held]).toEqual([503, Buffer.concat(chunks).length, []]);
  });

  it('passes if its client has left, for what it says of its usage', () => {
    const { gate, got, held } = open(AbortSignal.abort());
    respond(gate, 429, [], [Buffer.from('x')]);
    expect([got.status, held]).toEqual([429, []]);
  });

  it('passes after ten seconds if it is not complete', () => {
    vi.useFakeTimers();
    const { gate, got } = open();
    const controller = controllerOf([]);
    gate.onResponseStart(controller, 429, {}, 'x');
    gate.onResponseData(controller, Buffer.from('a'));
    vi.advanceTimersByTime(9_999);
    expect(got.calls).toEqual([]);
    vi.advanceTimersByTime(1);
    gate.onResponseData(controller, Buffer.from('b'));
    gate.onResponseEnd(controller, {});
    expect([got.status, got.bytes.toString(), got.calls]).toEqual([429, 'ab', ['head', 'end']]);
  });

  it('is as one that never began if it breaks off while it is held', () => {
    vi.useFakeTimers();
    const { gate, got } = open();
    const controller = controllerOf([]);
    gate.onResponseStart(controller, 429, {}, 'x');
    gate.onResponseData(controller, Buffer.from('a'));
    gate.onResponseError(controller, new Error('reset'));
    vi.advanceTimersByTime(60_000);
    expect([got.calls, got.bytes.length]).toEqual([['reset'], 0]);
  });
});

describe('an event stream', () => {
  const ALL = [
    { name: 'that begins with a throttle', bytes: Buffer.concat([EXCEPTION]), isHeld: true },
    { name: 'that begins with text', bytes: Buffer.concat([TEXT, EXCEPTION]), isHeld: false },
    { name: 'that begins with another exception', bytes: exceptionFrame('validationException', 'no'), isHeld: false },
    { name: 'that is none', bytes: Buffer.alloc(100, 0xff), isHeld: false },
    { name: 'that ends within its first frame', bytes: EXCEPTION.subarray(0, 20), isHeld: false },
    { name: 'that is empty', bytes: Buffer.alloc(0), isHeld: false },
  ];

  it.each(ALL)('$name is held: $isHeld, at every split', ({ bytes, isHeld }) => {
    const splits = Array.from({ length: bytes.length + 1 }, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)]);
    for (const chunks of [...splits, Array.from(bytes, (byte) => Buffer.from([byte]))]) {
      const { gate, got, held } = open();
      respond(gate, 200, STREAM, chunks);
      expect(held.length).toBe(isHeld ? 1 : 0);
      if (isHeld) expect(held[0]).toMatchObject({ exceptionType: 'ThrottlingException' });
      else expect(got.bytes.equals(bytes)).toBe(true);
    }
  });
});
