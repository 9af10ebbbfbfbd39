/** What stands where no exchange is: how to make the first one, or that the filter lets none through. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { go, place } from '../routes.ts';
import { serverState } from '../state.ts';
import { isLoaded, isSearching, nextBefore } from './exchanges.ts';

/** In place of the grid. */
export function EmptyList(): JSX.Element {
  const state = serverState.value;
  const url = state?.url ?? 'http://localhost:4000/bedrock';
  const region = state?.region ?? 'us-east-1';
  if (!isLoaded.value) return <p class="empty quiet">Loading …</p>;
  if (isSearching.value || nextBefore.value !== undefined) return <p class="empty quiet">Searching older ones …</p>;
  if (place.value.filter !== '') {
    return (
      <div class="empty">
        <h2>No exchange fits this filter</h2>
        <button type="button" class="button" onClick={() => go({ filter: '' })}>
          Clear the filter
        </button>
      </div>
    );
  }
  return (
    <div class="empty">
      <h2>Waiting for the first request</h2>
      <p>Point a client here, and what it sends appears at once.</p>
      <dl class="clients">
        <dt>Claude Code</dt>
        <dd>
          <Snippet
            text={`export CLAUDE_CODE_USE_BEDROCK=1
export ANTHROPIC_BEDROCK_BASE_URL=${url}
export AWS_BEARER_TOKEN_BEDROCK=sk-YOUR-KEY`}
          />
        </dd>
        <dt>AWS SDKs and CLI</dt>
        <dd>
          <Snippet
            text={`export AWS_ENDPOINT_URL_BEDROCK_RUNTIME=${url}
export AWS_BEARER_TOKEN_BEDROCK=sk-YOUR-KEY
export AWS_REGION=${region}`}
          />
        </dd>
        <dt>curl</dt>
        <dd>
          <Snippet
            text={`curl ${url}/model/amazon.nova-lite-v1:0/converse \\
  -H 'Authorization: Bearer sk-YOUR-KEY' -H 'Content-Type: application/json' \\
  -d '{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}'`}
          />
        </dd>
      </dl>
      <p class="quiet">
        Without keys any text will do as one; <code>bedrock-proxy env</code> prints these lines for your shell.
      </p>
    </div>
  );
}

/** Lines to be copied. */
function Snippet({ text }: { text: string }): JSX.Element {
  const isCopied = useSignal(false);
  return (
    <div class="snippet">
      <pre tabIndex={0}>{text}</pre>
      <button
        type="button"
        class="button"
        onClick={() => {
          navigator.clipboard.writeText(text).then(
            () => (isCopied.value = true),
            () => {},
          );
        }}
      >
        {isCopied.value ? 'Copied' : 'Copy'}
      </button>
    </div>
  );
}
