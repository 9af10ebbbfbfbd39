/**
 * What of an admitted request decides its way: which of the ways it may go, and which conversation it is of. Pure.
 */
import type { Admission } from '../admission/admit.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import type { Attempt, Way } from './upstream.ts';

/** Those of its ways that admission has let it take; the first of them always, which was judged in full. */
export function chooseWays(
  ways: readonly [Way, ...Way[]],
  { principal }: Pick<RequestRecord, 'principal'>,
  admission: Pick<Admission, 'elsewhere' | 'model' | 'otherModels' | 'namesGuardrail' | 'storesResponse'>,
): Pick<Attempt, 'ways' | 'conversation'> {
  const [first, ...others] = ways;
  const { elsewhere, model, otherModels, namesGuardrail, storesResponse } = admission;
  const owner = principal?.kind === 'key' ? principal.keyId : (principal?.kind ?? '');
  return {
    ways: others.length === 0 ? ways : [first, ...others.filter(({ route }) => elsewhere.includes(route))],
    conversation: { owner, model, otherModels, staysHome: namesGuardrail || storesResponse },
  };
}
