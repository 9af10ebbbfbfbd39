/**
 * What filters ask of the content of an exchange. It is worked out when it is asked for first, and kept as long as the
 * exchange is, because a list asks it of each of its rows. Pure.
 */
import type { Exchange, KeptBody } from '../exchange.ts';
import type { BlockView, MessagesView } from '../wire.ts';
import { indexFrames } from './frame-index.ts';
import { bodyOf, responseOf } from './kept-body.ts';
import { readPlainBody } from './plain-body.ts';
import { viewMessages } from './view-messages.ts';

/** What an exchange has. */
export interface ContentFacts {
  readonly hasThinking: boolean;
  readonly hasTool: boolean;
  readonly hasImage: boolean;
  readonly hasDocument: boolean;
  readonly hasGuardrail: boolean;
  readonly hasException: boolean;
  /** The tools that the response calls. */
  readonly tools: readonly string[];
  readonly stop: string | undefined;
}

const NO_FACTS: ContentFacts = {
  hasThinking: false,
  hasTool: false,
  hasImage: false,
  hasDocument: false,
  hasGuardrail: false,
  hasException: false,
  tools: [],
  stop: undefined,
};

/** By the body of the response: sources hand on the same object. Of one that grows, nothing is kept. */
const FACTS = new WeakMap<KeptBody, ContentFacts>();

/** What the content of an exchange has, as far as it has come. */
export function findContentFacts(exchange: Exchange): ContentFacts {
  const body = responseOf(exchange)?.body ?? bodyOf(exchange, 'clientRequest');
  if (body === undefined) return NO_FACTS;
  const known = FACTS.get(body);
  if (known !== undefined) return known;
  const facts = readFacts(exchange);
  if (exchange.end !== 'open') FACTS.set(body, facts);
  return facts;
}

function readFacts(exchange: Exchange): ContentFacts {
  const view = viewMessages(exchange);
  const blocks = listBlocks(view);
  const mediaTypes = blocks.flatMap((block) => (block.kind === 'media' ? [block.media_type] : []));
  const calls = (view.response?.blocks ?? []).flatMap((block) => (block.kind === 'tool_use' ? [block.name] : []));
  return {
    hasThinking: blocks.some(({ kind }) => kind === 'thinking'),
    hasTool: blocks.some(({ kind }) => kind === 'tool_use' || kind === 'tool_result'),
    hasImage: mediaTypes.some((type) => type.startsWith('image/')),
    hasDocument: mediaTypes.some((type) => !/^(?:image|audio|video)\//.test(type)),
    hasGuardrail: isGuarded(exchange, view),
    hasException: indexFrames(exchange).end === 'exception',
    tools: calls,
    stop: view.stop ?? undefined,
  };
}

function listBlocks({ system, messages, response }: MessagesView): BlockView[] {
  const within = (block: BlockView): BlockView[] =>
    block.kind === 'tool_result' ? [block, ...block.blocks.flatMap(within)] : [block];
  const all = [...system, ...messages.flatMap(({ blocks }) => blocks), ...(response?.blocks ?? [])];
  return all.flatMap(within);
}

const GUARDRAIL_MEMBERS = ['guardrailConfig', 'guardrailIdentifier', 'amazon-bedrock-guardrailConfig'];

/** It asks for a guardrail, in its body or in its headers, or is the work of one. */
function isGuarded({ row, layers }: Exchange, { parameters, stop }: MessagesView): boolean {
  const names = (layers.clientRequest?.headers ?? []).map(([name]) => name.toLowerCase());
  return (
    GUARDRAIL_MEMBERS.some((name) => Object.hasOwn(parameters, name)) ||
    names.includes('x-amzn-bedrock-guardrailidentifier') ||
    /guardrail/i.test(row.operation ?? '') ||
    stop === 'guardrail_intervened'
  );
}

/** What a client sent, as text. */
export function requestText(exchange: Exchange): string | undefined {
  return plainText(exchange, 'clientRequest');
}

/** What it got, as text: as it came. */
export function responseText(exchange: Exchange): string | undefined {
  return plainText(exchange, exchange.layers.upstreamResponse === undefined ? 'clientResponse' : 'upstreamResponse');
}

/** What the model wrote, put together: its words, its thoughts, and what it handed to tools. */
export function writtenText(exchange: Exchange): string | undefined {
  const { response } = viewMessages(exchange);
  const words = (response?.blocks ?? []).map((block) => {
    if (block.kind === 'text' || block.kind === 'thinking') return block.text;
    return block.kind === 'tool_use' ? JSON.stringify(block.input) : '';
  });
  return response === null ? undefined : words.join('\n');
}

/** Of a body with a hole, what is kept; bytes that are no UTF-8 do no harm. */
function plainText(
  exchange: Exchange,
  layer: 'clientRequest' | 'upstreamResponse' | 'clientResponse',
): string | undefined {
  const body = bodyOf(exchange, layer);
  if (body === undefined) return undefined;
  const plain = readPlainBody(exchange.layers[layer], body, 'body');
  return ('bytes' in plain ? plain.bytes : body.read()).toString();
}
