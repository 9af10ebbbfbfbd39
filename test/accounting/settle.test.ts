/**
 * The order of an end, and that there is one: what admission took is given back, then the row is written, then told.
 */
import { describe, expect, it } from 'vitest';
import { openSettlement, type Settlement } from '../../src/accounting/settle.ts';
import type { Admission } from '../../src/admission/admit.ts';
import { createRequestEvents } from '../../src/domain/events.ts';
import { openRecord, type RequestRecord } from '../../src/domain/request-record.ts';
import { describeHead } from '../../src/http/message.ts';
import { ProxyError } from '../../src/lib/errors.ts';
import type { ModelPrice, PriceBook } from '../../src/pricing/cost.ts';
import { aClientRequest } from '../helpers/client-request.ts';

const RESERVED = 5_000;
/** 60 and 240 nano-dollars a token. */
const PRICE: ModelPrice = { input: 60_000, output: 240_000 };
const RESPONSE = Buffer.from('{"usage":{"inputTokens":100,"outputTokens":10,"totalTokens":110}}');
const JSON_HEADERS = [['content-type', 'application/json']] as const;

interface Opened {
  readonly settlement: Settlement;
  readonly record: RequestRecord;
  /** What happened, in order; of the end with the phase that the record then had. */
  readonly steps: string[];
  admit(): void;
}

function open(find: PriceBook['find'] = () => PRICE): Opened {
  const steps: string[] = [];
  const record = openRecord('id-1', 0, describeHead(aClientRequest({ method: 'POST' })));
  record.route = { service: 'bedrock-runtime', operation: 'Converse', region: 'us-east-1', modelId: 'm' };
  let nowMs = 0;
  const told = (name: string) => () => void steps.push(name);
  const events = createRequestEvents(
    [
      {
        began: told('began'),
        admitted: told('admitted'),
        attemptStarted: told('attempt started'),
        responseStarted: told('response started'),
        ended: ({ phase }) => void steps.push(`told: ${phase}`),
      },
    ],
    (thrown) => {
      throw thrown;
    },
  );
  const settlement = openSettlement(
    { record, elapsedMs: () => (nowMs += 1) },
    {
      prices: { find, findGuardrail: () => undefined, list: () => [] },
      ledger: {
        settle: ({ phase }, _stage, onWritten) => {
          steps.push(`row: ${phase}`);
          onWritten?.();
        },
        defer: () => steps.push('deferred'),
        endDeferred: async () => {},
        readState: () => ({ waitingRows: 0, lostRows: 0, failingForMs: undefined }),
        close: async () => {},
      },
      responseHeaders: true,
      events,
    },
  );
  const release: Admission['release'] = ({ tokens }) => void steps.push(`released: ${tokens}`);
  const estimate = { inputTokens: 1_000, outputTokens: 5_000, copies: 1 };
  const admission = {
    model: 'm',
    priceNames: ['m'],
    renamed: new Map(),
    elsewhere: [],
    reservedNanoUsd: RESERVED,
    estimate,
    release,
  };
  return { settlement, record, steps, admit: () => settlement.onAdmitted(admission as unknown as Admission) };
}

function respond({ observer }: Settlement, status = 200): void {
  observer.onSigned();
  observer.onSent();
  observer.onHead(status, JSON_HEADERS);
  observer.onBytes(RESPONSE);
}

describe('the settlement of a request', () => {
  it('gives back what admission took, then writes the row, then reports the end', () => {
    const { settlement, record, steps, admit } = open();
    admit();
    respond(settlement);
    settlement.finish();
    expect(steps).toEqual([
      'began',
      'admitted',
      'attempt started',
      'response started',
      'released: 110',
      'row: ended',
      'told: ended',
    ]);
    const cost = 100 * 60 + 10 * 240;
    expect(record).toMatchObject({ pricing: 'priced', costNanoUsd: cost, chargedNanoUsd: cost, partial: false });
  });

  it.each([
    { name: 'priced in part', inputTokens: 100, known: { pricing: 'priced', costNanoUsd: 100 * 60 + 10 * 240 } },
    {
      name: 'unpriced if that part is nothing',
      inputTokens: 0,
      known: { pricing: 'unpriced', costNanoUsd: undefined },
    },
  ])('has something beside the model that nobody counts: $name', ({ inputTokens, known }) => {
    const { settlement, record, admit } = open();
    admit();
    settlement.observer.onSigned();
    settlement.observer.onSent();
    settlement.observer.onHead(200, JSON_HEADERS);
    const usage = { inputTokens, outputTokens: inputTokens / 10, serverToolUsage: { new_tool_requests: 1 } };
    settlement.observer.onBytes(Buffer.from(JSON.stringify({ usage })));
    settlement.finish();
    expect(record).toMatchObject({ ...known, partial: true });
  });

  it.each([
    { name: 'who told it', origin: {}, priceSource: 'aws' },
    { name: 'that it is of another region', origin: { assumedRegion: 'us-east-1' }, priceSource: 'aws (other region)' },
  ])('keeps of the price $name', ({ origin, priceSource }) => {
    const price: ModelPrice = { ...PRICE, origin: { kind: 'built-in', source: 'aws', name: 'm', ...origin } };
    const { settlement, record, admit } = open(() => price);
    admit();
    respond(settlement);
    settlement.finish();
    expect(record).toMatchObject({ pricing: 'priced', priceSource });
  });

  it.each([
    { name: 'nobody knows', find: () => undefined, status: 200 },
    { name: 'is not needed', find: () => PRICE, status: 429 },
  ])('keeps no source of a price that $name', ({ find, status }) => {
    const { settlement, record, admit } = open(find);
    admit();
    respond(settlement, status);
    settlement.finish();
    expect(record.priceSource).toBeUndefined();
  });

  it('has a phase for each step of a request', () => {
    const { settlement, record, admit } = open();
    const phases = [record.phase];
    const note = (): void => void phases.push(record.phase);
    admit();
    note();
    settlement.observer.onSigned();
    note();
    settlement.observer.onSent();
    note();
    settlement.observer.onHead(200, JSON_HEADERS);
    note();
    settlement.finish();
    note();
    expect(phases).toEqual(['received', 'admitted', 'admitted', 'sent', 'responding', 'ended']);
  });

  it.each([
    { name: 'that was refused', go: () => {}, isReleased: false },
    { name: 'that was admitted and could not be signed', go: ({ admit }: Opened) => admit(), isReleased: true },
    {
      name: 'that was signed and found no connection',
      go: ({ admit, settlement }: Opened) => {
        admit();
        settlement.observer.onSigned();
      },
      isReleased: true,
    },
    {
      name: 'that AWS refused',
      go: ({ admit, settlement }: Opened) => {
        admit();
        respond(settlement, 429);
      },
      isReleased: true,
    },
  ])('charges nothing for a request $name', ({ go, isReleased }) => {
    const opened = open();
    go(opened);
    opened.settlement.finish();
    expect(opened.record).toMatchObject({ pricing: 'free', costNanoUsd: 0, chargedNanoUsd: 0 });
    expect(opened.steps.slice(-3)).toEqual(
      isReleased ? ['released: 0', 'row: ended', 'told: ended'] : ['began', 'row: ended', 'told: ended'],
    );
  });

  it('charges what was reserved if a request was sent and nothing is known of it', () => {
    const { settlement, record, admit } = open();
    admit();
    settlement.observer.onSigned();
    settlement.observer.onSent();
    record.error = new ProxyError('ERR_CLIENT_GONE', 'gone');
    settlement.finish();
    expect(record).toMatchObject({ pricing: 'unpriced', chargedNanoUsd: RESERVED, partial: true });
  });

  it('charges what was reserved, and ends in the same order, if finding the price fails', () => {
    const { settlement, record, steps, admit } = open(() => {
      throw new Error('a fault of ours');
    });
    admit();
    respond(settlement);
    settlement.finish();
    expect(record).toMatchObject({ pricing: 'unpriced', chargedNanoUsd: RESERVED, partial: true });
    expect(steps.slice(-3)).toEqual(['released: 110', 'row: ended', 'told: ended']);
  });

  it.each([true, false])('writes the cost in a header only of a complete response: %s', (isComplete) => {
    const { settlement, admit } = open();
    admit();
    respond(settlement);
    const names = settlement.policy.extraHeaders(isComplete).map(([name]) => name);
    expect(names.includes('x-bedrock-proxy-cost')).toBe(isComplete);
  });
});
