/** What subscribers hear, in which order, and that none of them can harm a request or another subscriber. */
import { describe, expect, it } from 'vitest';
import { createRequestEvents, type RequestSubscriber } from '../../src/domain/events.ts';
import { aFinishedRecord } from '../helpers/finished-record.ts';

const RECORD = aFinishedRecord();

function tellAll(subscribers: readonly RequestSubscriber[]): unknown[] {
  const faults: unknown[] = [];
  const events = createRequestEvents(subscribers, (thrown) => faults.push(thrown));
  events.began(RECORD);
  events.admitted(RECORD);
  events.attemptStarted(RECORD);
  events.responseStarted(RECORD);
  events.bytes(RECORD, Buffer.from('ab'));
  events.ended(RECORD);
  return faults;
}

describe('request events', () => {
  it('reaches each subscriber with the events it has a function for, in the order of subscription', () => {
    const heard: unknown[] = [];
    tellAll([
      { began: () => heard.push('first began'), ended: () => heard.push('first ended') },
      {
        began: () => heard.push('second began'),
        responseStarted: (record) => heard.push(record.id),
        bytes: (_record, chunk) => heard.push(chunk.length),
      },
    ]);
    expect(heard).toEqual(['first began', 'second began', 'id-1', 2, 'first ended']);
  });

  it('reports a fault of one subscriber, and reaches the others all the same', () => {
    const fault = new Error('full disk');
    let ended = 0;
    const faults = tellAll([
      {
        ended: () => {
          throw fault;
        },
      },
      { ended: () => (ended += 1) },
    ]);
    expect([faults, ended]).toEqual([[fault], 1]);
  });

  it('keeps the subscriber of an event as `this`', () => {
    class Counter {
      count = 0;
      ended(): void {
        this.count += 1;
      }
    }
    const counter = new Counter();
    tellAll([counter]);
    expect(counter.count).toBe(1);
  });
});
