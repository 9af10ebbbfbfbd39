/**
 * How far a key reaches: which operations, and which regions. Pure. It lists what is open, not what is dangerous: what
 * AWS adds tomorrow is closed until it is opened here.
 */
import { ProxyError } from '../lib/errors.ts';
import type { Effect } from '../operations/facts.ts';
import type { RouteFacts } from '../domain/request-record.ts';
import type { KeyPolicy } from '../domain/key.ts';
import { matchesAnyGlob } from '../lib/glob.ts';

/** What of a route decides whether it is open. */
export interface ReachedRoute extends RouteFacts {
  readonly plane: 'data' | 'control';
  /** Of an operation that is not known: by its method, `read` or `write`. */
  readonly effect: Effect;
}

/** The read operations a key reaches by default, by AWS's own verbs: an export or a validation is neither. */
const READING_NAME = /^(?:Get|List)(?![a-z])/;

const HINTS: Readonly<Record<KeyPolicy['scope'], string>> = {
  inference: 'It may call models and nothing else; its owner can give it --scope default, or --scope all.',
  default:
    'By default a key uses models and agents and reads; it does not change the account, and uses nothing that is ' +
    'not known but by GET. Its owner can give it --scope all.',
  all: '',
};

const SECRET_HINT = 'It hands out credentials of the account, which no key may read, of whatever scope.';

/** Throws ERR_SCOPE if the key's scope does not reach the operation. */
export function checkScope(policy: Pick<KeyPolicy, 'scope'>, route: ReachedRoute): void {
  const { scope } = policy;
  if (isOpen(scope, route)) return;
  const { service, operation } = route;
  const what = operation === undefined ? 'an operation that is not known' : operation;
  const hint = route.effect === 'secret' ? SECRET_HINT : HINTS[scope];
  throw new ProxyError('ERR_SCOPE', `This key may not use ${what} of ${service}.`, { hint });
}

/** Throws ERR_REGION_NOT_ALLOWED if the key has a list of regions and the request goes to none of them. */
export function checkRegion({ regions }: Pick<KeyPolicy, 'regions'>, { region }: Pick<RouteFacts, 'region'>): void {
  if (regions.length === 0 || matchesAnyGlob(regions, region)) return;
  throw new ProxyError('ERR_REGION_NOT_ALLOWED', `This key may not use the region ${region}.`, {
    hint: `It may use: ${regions.join(', ')}.`,
  });
}

function isOpen(scope: KeyPolicy['scope'], { plane, operation, effect }: ReachedRoute): boolean {
  if (effect === 'secret') return false;
  switch (scope) {
    case 'all':
      return true;
    case 'inference':
      return effect === 'inference';
    case 'default':
      if (plane === 'data') return effect !== 'write';
      // An unknown path may be a known one in disguise, such as `%65xport` for `export`.
      return effect === 'read' && operation !== undefined && READING_NAME.test(operation);
    default:
      return scope satisfies never;
  }
}
