/** A body: as JSON, as text, or as bytes; a large one in pieces. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { BodyFacts, Json } from '../../../src/inspector/wire.ts';
import { call } from '../api.ts';
import { tellFailure } from './tell-failure.ts';
import { formatBytes } from '../format.ts';
import { JsonTree } from './json-tree.tsx';

const FIRST_BYTES = 256 * 1024;
const MAX_BYTES = 8 * 1024 * 1024;
/** A line of hex is five times as long as its bytes. */
const HEX_SHARE = 16;

type Mode = 'json' | 'raw' | 'hex';

/** `path`: of the body in the API. */
export function BodyView({ path, facts, version }: { path: string; facts: BodyFacts; version: unknown }): JSX.Element {
  const bytes = useSignal<Uint8Array | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const limit = useSignal(FIRST_BYTES);
  const mode = useSignal<Mode | undefined>(undefined);
  useEffect(() => {
    const abort = new AbortController();
    call('GET', path, { signal: abort.signal })
      .then((response) => response.arrayBuffer())
      .then(
        (buffer) => (bytes.value = new Uint8Array(buffer).subarray(0, MAX_BYTES)),
        (thrown: unknown) => {
          if (!abort.signal.aborted) problem.value = thrown instanceof Error ? thrown.message : String(thrown);
        },
      );
    return () => abort.abort();
  }, [path, version]);
  const all = bytes.value;
  if (problem.value !== undefined) return <p class="quiet">{problem.value}</p>;
  if (facts.size_bytes === 0) return <p class="quiet">empty</p>;
  if (all === undefined) return <p class="quiet">Loading …</p>;
  const json = all.length <= MAX_BYTES && facts.hole === null ? parse(all) : undefined;
  const shown = mode.value ?? (json === undefined ? (isText(all) ? 'raw' : 'hex') : 'json');
  return (
    <div class="body">
      <p class="body-facts">
        <span class="quiet">
          {formatBytes(facts.size_bytes)}
          {facts.sha256 !== null && ` · sha256 ${facts.sha256.slice(0, 12)}…`}
        </span>
        {facts.hole !== null && (
          <span class="warn">
            {' '}
            · {formatBytes(facts.hole.size_bytes)} from byte {facts.hole.at} on are not kept ({facts.hole.why})
          </span>
        )}
        <span class="body-modes" role="group" aria-label="Shown as">
          {(['json', 'raw', 'hex'] as const).map((each) => (
            <button
              key={each}
              type="button"
              class="button"
              aria-pressed={shown === each}
              disabled={each === 'json' && json === undefined}
              onClick={() => (mode.value = each)}
            >
              {each}
            </button>
          ))}
          <button type="button" class="button" onClick={() => void tellFailure(download(path))}>
            Save
          </button>
        </span>
      </p>
      {shown === 'json' && json !== undefined && (
        <div class="code">
          <JsonTree json={json} />
        </div>
      )}
      {shown === 'raw' && <pre class="code raw">{new TextDecoder().decode(all.subarray(0, limit.value))}</pre>}
      {shown === 'hex' && <pre class="code raw">{printHex(all.subarray(0, limit.value / HEX_SHARE))}</pre>}
      {shown !== 'json' && all.length > (shown === 'hex' ? limit.value / HEX_SHARE : limit.value) && (
        <button type="button" class="button" onClick={() => (limit.value += 4 * FIRST_BYTES)}>
          Show more
        </button>
      )}
    </div>
  );
}

function parse(bytes: Uint8Array): Json | undefined {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json;
  } catch {
    return undefined;
  }
}

function isText(bytes: Uint8Array): boolean {
  return !bytes.subarray(0, 4_096).some((byte) => byte === 0 || (byte < 9 && byte > 0) || (byte > 13 && byte < 27));
}

/** Offset, sixteen bytes, and what of them can be printed. */
export function printHex(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const text = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '·')).join('');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex.padEnd(47)}  ${text}`);
  }
  return lines.join('\n');
}

/** A link cannot send the token. */
async function download(path: string): Promise<void> {
  const response = await call('GET', path);
  await saveAs(
    await response.blob(),
    /filename="([^"]*)"/.exec(response.headers.get('content-disposition') ?? '')?.[1],
  );
}

/** Has the browser save it under this name. */
export async function saveAs(blob: Blob, name = 'exchange.bin'): Promise<void> {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
