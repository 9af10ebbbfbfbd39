/** How a request differs from another one: by its parts, by pointer, and by words. */
import { diffWordsWithSpace } from 'diff';
import type { JSX } from 'preact';
import type { DiffPart, DiffView, Json } from '../../../src/inspector/wire.ts';
import { go } from '../routes.ts';
import { useLoaded } from './loaded.ts';

/** Longer texts are compared by pointer alone. */
const MAX_WORDS_TEXT = 20_000;

/** `base`: the id of the other one. */
export function Difference({ id, base, onClose }: { id: string; base: string; onClose: () => void }): JSX.Element {
  const { value, problem } = useLoaded<DiffView>(`/exchanges/${id}/diff?with=${encodeURIComponent(base)}`, undefined);
  return (
    <section class="difference" aria-label="Difference">
      <p class="difference-head">
        <b>Compared with</b>{' '}
        <button type="button" class="button" onClick={() => go({ id: base })}>
          the other request
        </button>
        <button type="button" class="button" onClick={onClose}>
          Close
        </button>
      </p>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {value === undefined && problem === undefined && <p class="quiet">Loading …</p>}
      {value !== undefined && (
        <>
          <p>{value.summary}</p>
          {value.parts.map((part) => (
            <Part key={part.pointer} part={part} />
          ))}
        </>
      )}
    </section>
  );
}

function Part({ part }: { part: DiffPart }): JSX.Element {
  const { name, pointer, change, at_byte: atByte, changes } = part;
  return (
    <details class={`diff-part diff-${change}`} open={change === 'changed'}>
      <summary>
        <span class="tag">{change}</span> <b>{name}</b> <code>{pointer}</code>
        {atByte !== null && <span class="quiet"> from byte {atByte} on</span>}
      </summary>
      {changes.map((each) => (
        <div key={each.pointer} class="diff-change">
          <code>{each.pointer}</code>
          <Words before={each.before} after={each.after} />
        </div>
      ))}
    </details>
  );
}

function Words({ before, after }: { before: Json; after: Json }): JSX.Element {
  const [old, young] = [textOf(before), textOf(after)];
  if (old.length + young.length > MAX_WORDS_TEXT) {
    return (
      <div class="layers">
        <pre class="code raw">{old.slice(0, MAX_WORDS_TEXT)}</pre>
        <pre class="code raw">{young.slice(0, MAX_WORDS_TEXT)}</pre>
      </div>
    );
  }
  return (
    <pre class="code raw">
      {diffWordsWithSpace(old, young).map(({ value, added, removed }, at) =>
        added === true ? (
          <ins key={at}>{value}</ins>
        ) : removed === true ? (
          <del key={at}>{value}</del>
        ) : (
          <span key={at}>{value}</span>
        ),
      )}
    </pre>
  );
}

function textOf(json: Json): string {
  if (json === null) return '';
  return typeof json === 'string' ? json : JSON.stringify(json, undefined, 1);
}
