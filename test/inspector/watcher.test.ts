/** Whoever looks at exchanges cannot harm one: what it throws is told, and the request goes its way. */
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { openRecord } from '../../src/domain/request-record.ts';
import type { ClientResponse } from '../../src/http/message.ts';
import { type ExchangeListener, watchExchanges } from '../../src/inspector/watcher.ts';
import type { ResponseObserver } from '../../src/upstream/upstream.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { IDLE_OBSERVER } from '../helpers/idle-observer.ts';

const HEAD = { method: 'POST', httpVersion: '1.1', path: '/', userAgentHeader: undefined, traceparent: undefined };
const record = openRecord('r', 0, HEAD);

function open(...listeners: readonly ExchangeListener[]) {
  const faults: unknown[] = [];
  const heard: string[] = [];
  const watchers = listeners.map((listener) => ({ open: () => listener }));
  const watch = watchExchanges(watchers, (thrown) => faults.push(thrown))?.(record, aClientRequest());
  const observer: ResponseObserver = {
    ...IDLE_OBSERVER,
    onHead: (status) => void heard.push(`head ${status}`),
    onBytes: (chunk) => void heard.push(chunk.toString()),
    onEnd: () => void heard.push('end'),
  };
  return { watch, faults, heard, observer };
}

const fail = (): never => {
  throw new Error('broken');
};

describe('a watcher that throws', () => {
  it('is told of once and hears no more, and the others and the request go on', () => {
    const told: string[] = [];
    const { watch, faults, heard, observer } = open(
      { onHead: fail, onBytes: fail, onOver: fail },
      { onBytes: (chunk) => void told.push(chunk.toString()) },
    );
    const watched = watch?.watchUpstream(observer);
    watched?.onHead(200, []);
    watched?.onBytes(Buffer.from('bytes'));
    watched?.onEnd();
    watch?.onEnd();
    expect(heard).toEqual(['head 200', 'bytes', 'end']);
    expect(told).toEqual(['bytes']);
    expect(faults).toHaveLength(1);
  });

  it('when it is opened sees nothing of that exchange', () => {
    const faults: unknown[] = [];
    const openWatch = watchExchanges([{ open: fail }], (thrown) => faults.push(thrown));
    expect(openWatch?.(record, aClientRequest())).toBeUndefined();
    expect(faults).toHaveLength(1);
  });

  it('while the client gets its response leaves that alone', () => {
    const written: string[] = [];
    const sink = new Writable({
      write: (chunk, _encoding, done) => {
        written.push(String(chunk));
        done();
      },
    });
    const response: ClientResponse = {
      headersSent: false,
      start: () => sink,
      dropRequestBody: () => {},
      breakOff: () => {},
    };
    const { watch, faults } = open({ onClientHead: fail }, { onClientHead: () => fail });
    watch?.watchClient(response).start(200, []).end('body');
    expect(written).toEqual(['body']);
    expect(faults).not.toHaveLength(0);
  });
});

describe('who listens', () => {
  it('to nothing more after the body costs what follows nothing', () => {
    const told: string[] = [];
    const { watch, observer } = open({ onBody: () => false, onHead: () => void told.push('head') });
    expect(watch?.watchUpstream(observer)).not.toBe(observer);
    watch?.onBody({ chunks: [], sizeBytes: 0, sha256: '', spool: undefined } as never);
    expect(watch?.watchUpstream(observer)).toBe(observer);
    expect(told).toEqual([]);
  });

  it('to no response leaves it as it is', () => {
    const response = { headersSent: false, start: fail, dropRequestBody: () => {}, breakOff: () => {} };
    expect(open({ onBody: () => {} }).watch?.watchClient(response)).toBe(response);
    expect(open({ onClientHead: () => undefined }).watch?.watchClient(response)).not.toBe(response);
  });

  it('to what is written to the client hears each piece once', () => {
    const told: string[] = [];
    const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
    const response: ClientResponse = {
      headersSent: false,
      start: () => sink,
      dropRequestBody: () => {},
      breakOff: () => {},
    };
    const { watch } = open({ onClientHead: () => (chunk) => void told.push(String(chunk)) }, {}, {});
    const written = watch?.watchClient(response).start(200, []);
    written?.write('a');
    written?.end(Buffer.from('b'));
    expect(told).toEqual(['a', 'b']);
  });

  it('hears what passes after those on the way, and what is written to the client', () => {
    const told: string[] = [];
    const { watch, heard, observer } = open({
      onSending: () => void told.push('sending'),
      onBytes: (chunk) => void told.push(`${chunk.toString()} after ${heard.length}`),
    });
    const watched = watch?.watchUpstream(observer);
    watched?.onBytes(Buffer.from('a'));
    watched?.onBytes(Buffer.from('b'));
    expect(told).toEqual(['sending', 'a after 1', 'b after 2']);
  });

  it('is nobody, if there is no watcher', () => {
    expect(watchExchanges([], () => {})).toBeUndefined();
  });
});
