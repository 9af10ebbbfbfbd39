/** Where an exchange stands among others: turns of its conversation, what it replays, and what was tried before. */
import type { JSX } from 'preact';
import type { ExchangeSummary } from '../../../src/inspector/wire.ts';
import { exchanges, findRetry } from '../list/exchanges.ts';
import { go } from '../routes.ts';

/** Links to them; nothing if it stands alone. */
export function Turns({
  summary,
  failedAttempts,
}: {
  summary: ExchangeSummary;
  failedAttempts: readonly string[];
}): JSX.Element | null {
  const { id, conversation, parent, attempt } = summary;
  const next = exchanges.value.findLast((each) => each.conversation?.previous === id)?.id;
  const previous = conversation?.previous ?? undefined;
  const retry = findRetry(id);
  const isAlone = [previous, next, parent ?? undefined, attempt ?? undefined, retry].every(
    (each) => each === undefined,
  );
  if (isAlone && failedAttempts.length === 0) return null;
  return (
    <nav class="turns quiet" aria-label="Related exchanges">
      {conversation !== null && (previous !== undefined || next !== undefined) && (
        <span>
          turn {conversation.turn} {previous !== undefined && <To id={previous}>← the one before</To>}{' '}
          {next !== undefined && <To id={next}>the next one →</To>}
        </span>
      )}
      {parent !== null && (
        <span>
          {summary.is_edited ? 'edited replay of ' : 'replay of '}
          <To id={parent}>{numberOf(parent) ?? 'the original'}</To>
        </span>
      )}
      {attempt !== null && (
        <span>
          attempt {attempt.number} after <To id={attempt.previous}>{numberOf(attempt.previous) ?? 'the one before'}</To>
        </span>
      )}
      {retry !== undefined && (
        <span>
          sent again as <To id={retry.id}>{`#${retry.sequence}`}</To>
        </span>
      )}
      {failedAttempts.length > 0 && <span>tried before: {failedAttempts.join(', ')}</span>}
    </nav>
  );
}

function To({ id, children }: { id: string; children: string }): JSX.Element {
  return (
    <button type="button" class="link" onClick={() => go({ id })}>
      {children}
    </button>
  );
}

function numberOf(id: string): string | undefined {
  const found = exchanges.value.find((each) => each.id === id);
  return found === undefined ? undefined : `#${found.sequence}`;
}
