/**
 * An upstream with faults on the way to it and back: around AWS, the offline Bedrock and what was recorded alike, and
 * around all upstreams if there are several. It refuses as AWS does, or lets the request through and changes what the
 * client gets.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describeRecord } from '../domain/ledger-row.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import type { FaultBoard } from '../faults/board.ts';
import type { DrawnFault } from '../faults/fault-set.ts';
import { FAULT_HEADER, isLate, openFaultyResponse } from '../faults/faulty-response.ts';
import type { EarlyEffect } from '../faults/grammar.ts';
import { writeRefusal } from '../faults/refusals.ts';
import type { ClientResponse } from '../http/message.ts';
import { unlessAborted } from '../lib/deadline.ts';
import type { MonotonicClock } from '../lib/clock.ts';
import { ProxyError, toAbortError } from '../lib/errors.ts';
import { findFacts } from '../operations/find-facts.ts';
import type { Attempt, ResponseObserver, ResponsePolicy, Upstream } from './upstream.ts';

/** The faults in force, and the request that they may befall. */
export interface FaultyUpstreamParts {
  readonly board: FaultBoard;
  readonly record: RequestRecord;
  readonly tickMs: MonotonicClock;
}

/** The upstream as this one request finds it. `send` throws ERR_BAD_REQUEST as well, for a fault that it asks for. */
export function openFaultyUpstream(
  upstream: Upstream,
  { board, record, tickMs }: FaultyUpstreamParts,
): Pick<Upstream, 'send'> {
  const describe = () => describeRecord(record);
  return {
    send: async (attempt, observer, policy) => {
      const own = await board.findOwn(attempt.clientRequest.headers);
      const early = own ?? board.set?.take('early', describe);
      if (early !== undefined && !isLate(early.effect)) {
        record.fault = early.mark;
        const passes = await happenEarly({ ...early, effect: early.effect }, { attempt, observer, policy, record });
        if (!passes) return undefined;
        return upstream.send(
          { ...attempt, clientResponse: marked(attempt.clientResponse, early.mark) },
          observer,
          policy,
        );
      }
      const { service, operation } = attempt.prepared.route;
      const clientResponse = openFaultyResponse(attempt.clientResponse, {
        draw: () => own ?? board.set?.take('late', () => ({ ...describe(), isStreamed: record.isStreamed })),
        onInjected: (mark) => (record.fault = mark),
        shape: findFacts(service, operation).response,
        requestId: record.id,
        tickMs,
        signal: attempt.clientRequest.signal,
      });
      return upstream.send({ ...attempt, clientResponse }, observer, policy);
    },
  };
}

interface Befallen {
  readonly attempt: Attempt;
  readonly observer: ResponseObserver;
  readonly policy: ResponsePolicy;
  readonly record: RequestRecord;
}

/** Resolves to whether the request goes on. */
async function happenEarly(
  { effect, mark }: DrawnFault & { readonly effect: EarlyEffect },
  { attempt, observer, policy, record }: Befallen,
): Promise<boolean> {
  const { clientRequest, clientResponse, prepared } = attempt;
  if (effect.does === 'wait') {
    await delay(effect.ms, undefined, { signal: clientRequest.signal }).catch(() => {});
    if (clientRequest.signal.aborted) throw toAbortError(clientRequest.signal);
    return true;
  }
  if (effect.does !== 'refuse') throw ownError(effect.does, mark);
  const { service, operation } = prepared.route;
  const { retryAfterSeconds, refusal } = effect;
  const shape = findFacts(service, operation).response;
  const { status, headers, body } = writeRefusal(refusal, shape, { requestId: record.id, retryAfterSeconds });
  // As if AWS had responded, so that log, ledger and metrics have what they have of AWS's refusals.
  observer.onSigned();
  observer.onHead(status, headers);
  observer.onBytes(body);
  observer.onEnd();
  const sink = clientResponse.start(status, [...headers, ...policy.extraHeaders(true), [FAULT_HEADER, mark]]);
  clientResponse.dropRequestBody();
  await unlessAborted(clientRequest.signal, new Promise<void>((resolve) => void sink.end(body, () => resolve())));
  return false;
}

function ownError(does: 'connect' | 'budget', injected: string): ProxyError {
  const hint = `A fault was injected: ${injected}.`;
  return does === 'connect'
    ? new ProxyError('ERR_UPSTREAM_UNREACHABLE', 'The upstream cannot be reached.', { hint, injected })
    : new ProxyError('ERR_BUDGET_EXCEEDED', 'The budget of this key is spent.', { hint, injected });
}

function marked(clientResponse: ClientResponse, mark: string): ClientResponse {
  return {
    get headersSent() {
      return clientResponse.headersSent;
    },
    start: (status, headers, reasonPhrase) =>
      clientResponse.start(status, [...headers, [FAULT_HEADER, mark]], reasonPhrase),
    dropRequestBody: () => clientResponse.dropRequestBody(),
    breakOff: () => clientResponse.breakOff(),
  };
}
