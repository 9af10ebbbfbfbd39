/** JSON as a tree that folds: deep parts and long texts are closed until somebody opens them. Text nodes only. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { Json } from '../../../src/inspector/wire.ts';
import { formatBytes } from '../format.ts';

const OPEN_DEPTH = 3;
const MAX_TEXT = 2_000;
/** Members that are shown at a time. */
const PAGE_MEMBERS = 200;

/** `name`: of the member that holds it. */
export function JsonTree({ json, name, depth = 0 }: { json: Json; name?: string; depth?: number }): JSX.Element {
  if (json === null || typeof json !== 'object') {
    return (
      <div class="json-line">
        <Name name={name} />
        <Scalar json={json} />
      </div>
    );
  }
  return <Branch json={json} name={name} depth={depth} />;
}

function Branch({
  json,
  name,
  depth,
}: {
  json: readonly Json[] | { readonly [name: string]: Json };
  name: string | undefined;
  depth: number;
}): JSX.Element {
  const isOpen = useSignal(depth < OPEN_DEPTH);
  const shown = useSignal(PAGE_MEMBERS);
  const isList = Array.isArray(json);
  const members = Object.entries(json);
  const [open, close] = isList ? ['[', ']'] : ['{', '}'];
  if (members.length === 0) {
    return (
      <div class="json-line">
        <Name name={name} />
        {open}
        {close}
      </div>
    );
  }
  return (
    <div class="json-branch">
      <button
        type="button"
        class="json-fold"
        aria-expanded={isOpen.value}
        onClick={() => (isOpen.value = !isOpen.value)}
      >
        <span aria-hidden="true">{isOpen.value ? '▾' : '▸'}</span> <Name name={name} />
        {open}
        {!isOpen.value && (
          <span class="quiet">
            {' '}
            {members.length} {isList ? 'item' : 'member'}
            {members.length === 1 ? '' : 's'} {close}
          </span>
        )}
      </button>
      {isOpen.value && (
        <div class="json-members">
          {members.slice(0, shown.value).map(([member, value]) => (
            <JsonTree key={member} json={value} name={member} depth={depth + 1} />
          ))}
          {members.length > shown.value && (
            <button type="button" class="button" onClick={() => (shown.value += PAGE_MEMBERS * 5)}>
              {members.length - shown.value} more
            </button>
          )}
        </div>
      )}
      {isOpen.value && <div class="json-line">{close}</div>}
    </div>
  );
}

function Name({ name }: { name: string | undefined }): JSX.Element | null {
  return name === undefined ? null : <span class="json-name">{escapeBidi(name)}: </span>;
}

/** What turns the direction of text, with which a value could be made to look like another one. */
const BIDI = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;

/** Pure: such characters as JSON has them, by their number. */
export function escapeBidi(text: string): string {
  return text.replaceAll(BIDI, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function quote(text: string): string {
  return escapeBidi(JSON.stringify(text));
}

function Scalar({ json }: { json: string | number | boolean | null }): JSX.Element {
  const isOpen = useSignal(false);
  if (typeof json !== 'string') return <span class="json-plain">{String(json)}</span>;
  if (json.length <= MAX_TEXT || isOpen.value) return <span class="json-text">{quote(json)}</span>;
  return (
    <span class="json-text">
      {quote(json.slice(0, MAX_TEXT)).slice(0, -1)}…{' '}
      <button type="button" class="button" onClick={() => (isOpen.value = true)}>
        all {formatBytes(json.length)}
      </button>
    </span>
  );
}
