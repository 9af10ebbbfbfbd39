/** Blocks of content: text, thinking, calls of tools and what they gave, pictures. Text nodes only. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { BlockView, MessageView } from '../../../src/inspector/wire.ts';
import { formatBytes, formatMs } from '../format.ts';
import { JsonTree } from './json-tree.tsx';

const MAX_TEXT = 8_000;

/** One turn. */
export function Turn({ message }: { message: MessageView }): JSX.Element {
  return (
    <section class={`turn turn-${message.role.replaceAll(/[^a-z]/g, '')}`} aria-label={message.role}>
      <h3 class="turn-role">{message.role}</h3>
      <div class="turn-blocks">
        {message.blocks.map((block, at) => (
          <Block key={at} block={block} />
        ))}
      </div>
    </section>
  );
}

/** One block. */
export function Block({ block }: { block: BlockView }): JSX.Element {
  switch (block.kind) {
    case 'text':
      return <LongText text={block.text} />;
    case 'thinking':
      return (
        <details class="block-thinking">
          <summary>
            thinking · {block.text.length} characters
            {block.duration_ms !== null && ` · ${formatMs(block.duration_ms)}`}
          </summary>
          <LongText text={block.text} />
        </details>
      );
    case 'tool_use':
      return (
        <div class="block-tool">
          <span class="tag">tool call</span> <b>{block.name}</b> <span class="quiet">{block.id}</span>
          {typeof block.input === 'string' ? (
            <LongText text={block.input} />
          ) : (
            <div class="code">
              <JsonTree json={block.input} depth={1} />
            </div>
          )}
        </div>
      );
    case 'tool_result':
      return (
        <div class={block.is_error ? 'block-tool block-bad' : 'block-tool'}>
          <span class="tag">{block.is_error ? 'tool failed' : 'tool result'}</span>{' '}
          <span class="quiet">{block.id}</span>
          {block.blocks.map((inner, at) => (
            <Block key={at} block={inner} />
          ))}
        </div>
      );
    case 'media':
      return <Media block={block} />;
    case 'cache_point':
      return (
        <div class="block-cache">
          <span>cache point{block.ttl === null ? '' : ` · ${block.ttl}`}</span>
        </div>
      );
    case 'other':
      return (
        <div class="block-tool">
          <span class="tag">{block.name}</span>
          <div class="code">
            <JsonTree json={block.json} depth={1} />
          </div>
        </div>
      );
    default:
      return block satisfies never;
  }
}

/** Text with its line breaks; of a long one, the beginning until somebody asks for all. */
function LongText({ text }: { text: string }): JSX.Element {
  const isOpen = useSignal(false);
  const isCut = text.length > MAX_TEXT && !isOpen.value;
  return (
    <div class="block-text">
      {isCut ? text.slice(0, MAX_TEXT) : text}
      {isCut && (
        <>
          …{' '}
          <button type="button" class="button" onClick={() => (isOpen.value = true)}>
            all {text.length} characters
          </button>
        </>
      )}
    </div>
  );
}

/** Shown as pictures; never SVG, which can hold scripts. */
const PICTURES: ReadonlySet<string> = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);

function Media({ block }: { block: Extract<BlockView, { kind: 'media' }> }): JSX.Element {
  const url = useSignal<string | undefined>(undefined);
  const { media_type: type, base64, size_bytes: size } = block;
  useEffect(() => {
    if (base64 === null || !PICTURES.has(type)) return undefined;
    const bytes = decodeBase64(base64);
    if (bytes === undefined) return undefined;
    const made = URL.createObjectURL(new Blob([bytes], { type }));
    url.value = made;
    return () => URL.revokeObjectURL(made);
  }, [base64, type]);
  return (
    <figure class="block-media">
      {url.value !== undefined && <img src={url.value} alt={`${type} in the request`} />}
      <figcaption class="quiet">
        {type} · {formatBytes(size)}
      </figcaption>
    </figure>
  );
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
