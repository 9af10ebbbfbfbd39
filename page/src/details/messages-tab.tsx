/** What was said: system, tools, turns and the response, which grows while one looks. */
import type { JSX } from 'preact';
import type { MessagesView } from '../../../src/inspector/wire.ts';
import { formatNumber } from '../format.ts';
import { Block, Turn } from './blocks.tsx';
import { JsonTree } from './json-tree.tsx';
import { useLoaded } from './loaded.ts';

/** `version` changes whenever more of it has come. `told`: an error that stands above it, and is not told twice. */
export function MessagesTab({
  id,
  version,
  told,
}: {
  id: string;
  version: unknown;
  told: string | undefined;
}): JSX.Element {
  const { value, problem } = useLoaded<MessagesView>(`/exchanges/${id}/messages`, version);
  if (problem !== undefined && value === undefined) return <p class="problem">{problem}</p>;
  if (value === undefined) return <p class="quiet">Loading …</p>;
  const { system, tools, messages, response, stop, parameters } = value;
  const parts = Object.entries(parameters);
  return (
    <div class="messages">
      {value.problem !== null && (told === undefined || !value.problem.includes(told)) && (
        <p class="problem">{value.problem}</p>
      )}
      {parts.length > 0 && (
        <p class="parameters quiet">
          {parts
            .map(([name, json]) => `${name} ${typeof json === 'object' ? JSON.stringify(json) : String(json)}`)
            .join(' · ')}
        </p>
      )}
      {system.length > 0 && (
        <details class="part" open={system.length < 4}>
          <summary>system · {formatNumber(system.length, 'block')}</summary>
          {system.map((block, at) => (
            <Block key={at} block={block} />
          ))}
        </details>
      )}
      {tools.length > 0 && (
        <details class="part">
          <summary>
            tools · {tools.length}:{' '}
            {tools
              .map(({ name }) => name)
              .join(', ')
              .slice(0, 200)}
          </summary>
          {tools.map(({ name, description, schema }) => (
            <details key={name} class="part">
              <summary>
                <b>{name}</b> <span class="quiet">{description?.slice(0, 120)}</span>
              </summary>
              {description !== null && <div class="block-text">{description}</div>}
              <div class="code">
                <JsonTree json={schema} depth={1} />
              </div>
            </details>
          ))}
        </details>
      )}
      {messages.map((message, at) => (
        <Turn key={at} message={message} />
      ))}
      {response !== null && <Turn message={response} />}
      {value.is_open && <p class="quiet">… more is coming</p>}
      {stop !== null && (
        <p class="stop">
          <span class="quiet">stop</span> {stop}
        </p>
      )}
      {messages.length === 0 && response === null && value.problem === null && !value.is_open && (
        <p class="quiet">Nothing in it is a message; the other tabs show its bytes.</p>
      )}
    </div>
  );
}
