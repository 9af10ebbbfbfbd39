/**
 * Both halves of admission for one request, in the order of the way: `enter` before the body is read, `admit` when it
 * is there. Keeps what the first half took, so that it is given back whatever happens in between.
 */
import { rowIfLost } from '../domain/ledger-row.ts';
import type { Principal } from '../domain/principal.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import type { ClientRequest } from '../http/message.ts';
import type { ProxyError } from '../lib/errors.ts';
import { admit, type Admission, type AdmissionDependencies, type AdmissionRequest } from './admit.ts';
import { enter, untilEntered } from './enter.ts';
import type { RateGrant } from './rates.ts';
import type { ReachedRoute } from './scope.ts';

/** A request that asks to be let in. */
export interface Visitor extends Pick<AdmissionRequest, 'onLateReservation'> {
  readonly record: RequestRecord;
  readonly clientRequest: Pick<ClientRequest, 'headers' | 'signal'>;
}

/** Admission of one request, from its first half to its end. */
export interface AdmissionStage {
  /** As `enter`; does nothing if the principal is not known before the body. To be waited for if it is a promise. */
  enter(principal: Principal | undefined, routes: readonly ReachedRoute[]): Promise<void> | undefined;
  /** As `admit`. */
  admit(arrived: Pick<AdmissionRequest, 'principal' | 'route' | 'elsewhere' | 'body'>): Promise<Admission>;
  /** Once, when the request is over, and why it failed. Of what was admitted, nothing is left to end. Never throws. */
  leave(error: ProxyError | undefined): void;
}

/** Nothing is taken yet. */
export function openAdmissionStage(
  { record, clientRequest, onLateReservation }: Visitor,
  dependencies: AdmissionDependencies,
): AdmissionStage {
  const { headers, signal } = clientRequest;
  let entered: RateGrant | undefined;
  return {
    enter: (principal, routes) => {
      const found = principal && enter(principal, routes, dependencies.rates);
      if (found instanceof Promise) return untilEntered(found, signal).then((grant) => void (entered = grant));
      entered = found;
      return undefined;
    },
    admit: ({ principal, route, elsewhere, body }) => {
      const ifLost = () => rowIfLost(record, principal);
      const asked = { requestId: record.id, principal, entered, route, elsewhere, headers, body, ifLost, signal };
      return admit({ ...asked, onLateReservation }, dependencies);
    },
    leave: (error) => {
      // Who left in the middle has kept us busy: it counts as a request.
      if (isAbandoned(error)) entered?.finish(0);
      else entered?.undo();
    },
  };
}

/** The client left in the middle of its body, or was silent for too long. */
function isAbandoned(error: ProxyError | undefined): boolean {
  return error?.code === 'ERR_CLIENT_GONE' || error?.code === 'ERR_BODY_TIMEOUT';
}
