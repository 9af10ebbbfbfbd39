/** Sends exchanges once more, through the same way as every request; whom they are charged to the caller has seen. */
import type { KeyStore } from '../domain/store.ts';
import type { ClientRequest, ClientResponse } from '../http/message.ts';
import type { InspectorCaller, InspectorOptions } from '../inspector-api/options.ts';
import { discardResponse, findReplayRefusal, makeReplay, needsConfirmation } from '../inspector/replay.ts';
import type { ReplayOffer } from '../inspector/wire.ts';
import { findKeyState } from '../keys/state.ts';
import { maskKey } from '../keys/secret.ts';
import { ProxyError } from '../lib/errors.ts';
import { exactUsd } from '../lib/usd.ts';

/** Callers that are no key. */
const MASTER_CALLER = { id: 'master', name: 'the master key, without limits', caller: 'master' };
const NOBODY_CALLER = { id: 'anonymous', name: 'nobody: there is no key yet', caller: 'anonymous' };
const NO_KEY = 'There is no active key to charge: make one, or open the page with the master key.';
/** So many keys are offered. */
const MAX_KEYS = 500;
/** A replay that has not begun by then will not. */
const BEGIN_MS = 30_000;

interface ReplayParts {
  readonly store: Pick<KeyStore, 'listKeys' | 'hasAnyKey'>;
  readonly masterKey: string | undefined;
  readonly nowMs: () => number;
  /** The way of the requests to Bedrock. */
  readonly handle: (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void>;
}

/** What the inspector's API calls. */
export function openReplay(parts: ReplayParts): NonNullable<InspectorOptions['replay']> {
  return {
    offer: async (exchange, caller) => {
      const keys = (await listCallers(parts, caller, exchange.row.keyId)).map(({ id, name }) => ({ id, name }));
      const refusal = findReplayRefusal(exchange);
      return {
        keys,
        estimate_usd: exchange.row.costNanoUsd === undefined ? null : exactUsd(exchange.row.costNanoUsd),
        // What is refused is not to be confirmed, too.
        needs_confirmation: refusal === undefined && needsConfirmation(exchange),
        refusal: refusal ?? (keys.length === 0 ? NO_KEY : null),
      };
    },
    send: async (exchange, request, caller) => {
      if (needsConfirmation(exchange, request.edits) && request.confirm !== true) {
        throw new ProxyError('ERR_BAD_REQUEST', 'It is no call of a model, and may change something at AWS.', {
          hint: 'Send "confirm": true if that is meant.',
        });
      }
      const callers = await listCallers(parts, caller, undefined);
      const chosen = callers.find(({ id }) => id === request.key);
      if (chosen === undefined) {
        throw new ProxyError('ERR_BAD_REQUEST', 'There is no active key of this id.');
      }
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const timer = setTimeout(() => reject(new ProxyError('ERR_INTERNAL', 'The replay did not begin.')), BEGIN_MS);
      const mark = { caller: chosen.caller, parent: exchange.id, onRecord: resolve };
      const made = makeReplay(exchange, request, { mark, signal: new AbortController().signal });
      parts.handle(made, discardResponse()).catch(reject);
      return { id: await promise.finally(() => clearTimeout(timer)) };
    },
  };
}

/** Who may be charged, and by what the way of a request knows it. */
type ReplayCaller = ReplayOffer['keys'][number] & { readonly caller: string };

/** Those that may be charged, the one that it was first. */
async function listCallers(
  { store, masterKey, nowMs }: ReplayParts,
  caller: InspectorCaller,
  firstId: string | undefined,
): Promise<readonly ReplayCaller[]> {
  if (masterKey === undefined && !(await store.hasAnyKey())) return [NOBODY_CALLER];
  const rows = await store.listKeys({ after: undefined, limit: MAX_KEYS });
  const keys = rows
    .filter((row) => findKeyState(row, nowMs()) === 'active')
    .map(({ id, alias, lastFour, keySha256 }) => ({ id, name: alias ?? maskKey(lastFour), caller: keySha256 }))
    .toSorted((left, right) => Number(right.id === firstId) - Number(left.id === firstId));
  // Whoever has only the token does not go beyond the limits of keys.
  return masterKey === undefined || caller !== 'master' ? keys : [...keys, MASTER_CALLER];
}
