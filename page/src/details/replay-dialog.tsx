/**
 * Sends a request once more, as it was or edited: signed anew, charged to a key that one sees. The result is an
 * exchange of its own.
 */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { diffLines } from 'diff';
import type { JSX } from 'preact';
import type { ExchangeDetails, ReplayOffer, ReplayRequest } from '../../../src/inspector/wire.ts';
import { call, send } from '../api.ts';
import { formatDollars } from '../format.ts';
import { useModal } from '../modal.ts';
import { go } from '../routes.ts';
import { showBody, type ShownBody } from './edit-body.ts';
import { escapeBidi } from './json-tree.tsx';
import { findJsonProblem } from './json-problem.ts';
import { useLoaded } from './loaded.ts';

const MAX_DIFF_TEXT = 200_000;

/** `isEditing`: target, headers and body can be changed. */
export function ReplayDialog({
  details,
  isEditing,
  onClose,
}: {
  details: ExchangeDetails;
  isEditing: boolean;
  onClose: () => void;
}): JSX.Element {
  const { id } = details.summary;
  const dialog = useModal();
  const offer = useLoaded<ReplayOffer>(`/exchanges/${id}/replay`, undefined);
  const shown = useSignal<ShownBody | undefined>(undefined);
  const body = useSignal('');
  const target = useSignal(details.layers.client_request.target ?? '');
  const headers = useSignal(
    details.layers.client_request.headers.map(([name, value]) => `${name}: ${value}`).join('\n'),
  );
  const originalHeaders = useRef(headers.value);
  const key = useSignal<string | undefined>(undefined);
  const isConfirmed = useSignal(false);
  /** Edits made another operation of it: the server wants to know that it is meant. */
  const isAsked = useSignal(false);
  const isSending = useSignal(false);
  const problem = useSignal<string | undefined>(undefined);
  useEffect(() => {
    if (!isEditing) return;
    call('GET', `/exchanges/${id}/body/client_request`)
      .then((response) => response.text())
      .then(
        (text) => {
          shown.value = showBody(text, escapeBidi);
          body.value = shown.value.text;
          return text;
        },
        () => (shown.value = showBody('', escapeBidi)),
      );
  }, []);
  const { value } = offer;
  const chosen = key.value ?? value?.keys[0]?.id;
  const jsonProblem = isEditing && body.value.trim() !== '' ? findJsonProblem(body.value) : undefined;
  const isBodyEdited = shown.value !== undefined && body.value !== shown.value.text;
  const sendIt = async (): Promise<void> => {
    if (chosen === undefined) return;
    isSending.value = true;
    problem.value = undefined;
    const edits = {
      ...(target.value === details.layers.client_request.target ? {} : { target: target.value }),
      ...(headers.value === originalHeaders.current ? {} : { headers: readHeaders(headers.value) }),
      ...(isBodyEdited ? { body: shown.value?.restore(body.value) ?? body.value } : {}),
    };
    const request: ReplayRequest = {
      key: chosen,
      ...(isEditing && Object.keys(edits).length > 0 ? { edits } : {}),
      ...(isConfirmed.value ? { confirm: true } : {}),
    };
    try {
      const made = await send<{ id: string }>('POST', `/exchanges/${id}/replay`, request);
      onClose();
      go({ id: made.id });
    } catch (thrown) {
      problem.value = thrown instanceof Error ? thrown.message : String(thrown);
      isAsked.value ||= problem.value.includes('"confirm": true');
      isSending.value = false;
    }
  };
  const isReady =
    value !== undefined &&
    value.refusal === null &&
    chosen !== undefined &&
    jsonProblem === undefined &&
    (!(value.needs_confirmation || isAsked.value) || isConfirmed.value);
  return (
    <dialog ref={dialog} class="dialog dialog-wide" aria-labelledby="replay-title" onClose={onClose}>
      <h2 id="replay-title">{isEditing ? 'Edit and replay' : 'Replay'}</h2>
      {offer.problem !== undefined && <p class="problem">{offer.problem}</p>}
      {value?.refusal !== null && value?.refusal !== undefined && <p class="problem">{value.refusal}</p>}
      {isEditing && (
        <div class="edit">
          <label for="replay-target">Path, with the model</label>
          <input
            id="replay-target"
            class="field mono"
            value={target.value}
            spellcheck={false}
            onInput={(event) => (target.value = event.currentTarget.value)}
          />
          <details>
            <summary>Headers (credentials, length, signature and date are made anew)</summary>
            <label class="visually-hidden" for="replay-headers">
              Headers
            </label>
            <textarea
              id="replay-headers"
              class="field mono"
              rows={8}
              spellcheck={false}
              value={headers.value}
              onInput={(event) => (headers.value = event.currentTarget.value)}
            />
          </details>
          <label for="replay-body">Body</label>
          <textarea
            id="replay-body"
            class="field mono edit-body"
            rows={18}
            spellcheck={false}
            aria-invalid={jsonProblem !== undefined}
            aria-describedby={jsonProblem === undefined ? undefined : 'replay-json'}
            value={body.value}
            onInput={(event) => (body.value = event.currentTarget.value)}
          />
          {jsonProblem !== undefined && (
            <p id="replay-json" class="problem">
              {jsonProblem}
            </p>
          )}
          {isBodyEdited && shown.value !== undefined && <Changes before={shown.value.text} after={body.value} />}
        </div>
      )}
      <div class="replay-foot">
        <label for="replay-key">Send as key</label>
        <select
          id="replay-key"
          class="field"
          value={chosen}
          onChange={(event) => (key.value = event.currentTarget.value)}
        >
          {value?.keys.map(({ id: keyId, name }) => (
            <option key={keyId} value={keyId}>
              {name}
            </option>
          ))}
        </select>
        {(value?.needs_confirmation === true || isAsked.value) && (
          <label>
            <input
              type="checkbox"
              checked={isConfirmed.value}
              onChange={(event) => (isConfirmed.value = event.currentTarget.checked)}
            />{' '}
            it is no call of a model, and may change something at AWS
          </label>
        )}
        <button
          type="button"
          class="button button-main"
          disabled={!isReady || isSending.value}
          onClick={() => void sendIt()}
        >
          {isSending.value
            ? 'Sending …'
            : `Send${value === undefined || value.estimate_usd === null ? '' : ` · about ${formatDollars(value.estimate_usd)}`}`}
        </button>
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
      </div>
      {problem.value !== undefined && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
    </dialog>
  );
}

function Changes({ before, after }: { before: string; after: string }): JSX.Element | null {
  if (before.length + after.length > MAX_DIFF_TEXT) return null;
  const parts = diffLines(before, after).filter(({ added, removed }) => added === true || removed === true);
  return (
    <details class="part" open>
      <summary>What changes</summary>
      <pre class="code raw">
        {parts.map(({ value, added }, at) =>
          added === true ? <ins key={at}>{value}</ins> : <del key={at}>{value}</del>,
        )}
      </pre>
    </details>
  );
}

function readHeaders(text: string): [string, string][] {
  return text.split('\n').flatMap((line) => {
    const at = line.indexOf(':');
    return at < 1 ? [] : [[line.slice(0, at).trim(), line.slice(at + 1).trim()] as [string, string]];
  });
}
