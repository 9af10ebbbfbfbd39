/** Whoever looks at exchanges cannot harm one: what it throws is told, and the request goes its way. */
import { describe, expect, it } from 'vitest';
import { openRecord } from '../../src/domain/request-record.ts';
import { type ExchangeWatch, guardWatcher } from '../../src/inspector/watcher.ts';
import type { ResponseObserver } from '../../src/upstream/upstream.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { IDLE_OBSERVER } from '../helpers/idle-observer.ts';

const HEAD = { method: 'POST', httpVersion: '1.1', path: '/', userAgentHeader: undefined, traceparent: undefined };
const record = openRecord('r', 0, HEAD);
const QUIET: ExchangeWatch = {
  onCaller: () => {},
  onBody: () => {},
  onAdmitted: () => {},
  watchUpstream: (observer) => observer,
  watchClient: (clientResponse) => clientResponse,
  onEnd: () => {},
};

function open(watch: Partial<ExchangeWatch>) {
  const faults: unknown[] = [];
  const heard: string[] = [];
  const guarded = guardWatcher({ open: () => ({ ...QUIET, ...watch }) }, (thrown) => faults.push(thrown)).open(
    record,
    aClientRequest(),
  );
  const observer: ResponseObserver = {
    ...IDLE_OBSERVER,
    onHead: (status) => void heard.push(`head ${status}`),
    onBytes: (chunk) => void heard.push(chunk.toString()),
    onEnd: () => void heard.push('end'),
  };
  return { guarded, faults, heard, observer };
}

const fail = (): never => {
  throw new Error('broken');
};

describe('a watcher that throws', () => {
  it('on the way is told of once, and the rest of the exchange goes on without it', () => {
    const { guarded, faults, heard, observer } = open({
      watchUpstream: (told) => ({ ...told, onHead: fail, onBytes: fail }),
      onEnd: fail,
    });
    const watched = guarded?.watchUpstream(observer);
    watched?.onHead(200, []);
    watched?.onBytes(Buffer.from('bytes'));
    watched?.onEnd();
    guarded?.onEnd();
    expect(heard).toEqual(['head 200', 'bytes', 'end']);
    expect(faults).toHaveLength(1);
  });

  it('when it is opened sees nothing of that exchange', () => {
    const faults: unknown[] = [];
    const guarded = guardWatcher({ open: fail }, (thrown) => faults.push(thrown));
    expect(guarded.open(record, aClientRequest())).toBeUndefined();
    expect(faults).toHaveLength(1);
  });

  it('while it takes its place leaves the observer as it was', () => {
    const { guarded, heard, observer } = open({ watchUpstream: fail });
    guarded?.watchUpstream(observer).onHead(200, []);
    expect(heard).toEqual(['head 200']);
  });

  it('does not hear what it was not told, and hears all else in order', () => {
    const told: string[] = [];
    const { guarded, heard, observer } = open({
      watchUpstream: (inner) => ({ ...inner, onBytes: (chunk) => void told.push(chunk.toString()) }),
    });
    const watched = guarded?.watchUpstream(observer);
    watched?.onBytes(Buffer.from('a'));
    watched?.onBytes(Buffer.from('b'));
    expect([told, heard]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
  });
});
