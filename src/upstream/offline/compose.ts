/**
 * The model of the offline Bedrock: its response to a turn of a conversation, whatever shape the turn came in. Pure and
 * deterministic. It repeats the user's text, as JSON of a schema if one is asked for, or calls a tool if it must or if
 * the text is about one (tool-choice.ts).
 */
import { sampleOfSchema } from './schema-sample.ts';
import { NO_CACHE_USE, type PromptTokens } from './prompt-cache.ts';
import { countTokens, estimateLatencyMs, splitTokens, stableId } from './tokens.ts';
import { chooseToolFor, type OfferedTool } from './tool-choice.ts';

/** What is asked of a model. */
export interface Turn {
  /** As the response shall name it. */
  readonly modelId: string;
  /** The text of the last user message. */
  readonly userText: string;
  /** The texts of the tool results in the last user message. */
  readonly toolResults: readonly string[];
  readonly tokens: PromptTokens;
  readonly maxTokens: number;
  readonly stopSequences: readonly string[];
  readonly tools: readonly OfferedTool[];
  /** `auto` calls a tool that the user's text is about; a name calls that one. */
  readonly toolChoice: 'auto' | 'any' | 'none' | { readonly name: string };
  /** True if the response shows how the model came to it. */
  readonly isReasoning: boolean;
  /** The JSON Schema of the text; undefined: prose. */
  readonly schema: unknown;
}

/** A turn that asks for nothing but text. */
export const PLAIN_TURN = {
  toolResults: [],
  stopSequences: [],
  tools: [],
  toolChoice: 'auto',
  isReasoning: false,
  schema: undefined,
} as const satisfies Partial<Turn>;

/** What a model is told to say, instead of what it would say by itself. */
export interface GivenAnswer {
  readonly text: string | undefined;
  readonly toolCalls: readonly { readonly name: string; readonly input: unknown }[];
  readonly stopReason: ComposedResponse['stopReason'] | undefined;
  readonly usage: GivenUsage;
}

/** Tokens that a response shall report; what is not given is counted. */
export interface GivenUsage {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly cacheReadTokens?: number;
  readonly cacheWriteTokens?: number;
}

/** A tool that a model asks for. */
export interface ToolCall {
  readonly name: string;
  /** Unique within a response, without a prefix. */
  readonly id: string;
  readonly input: unknown;
}

/** A part of a response. */
export type ComposedBlock =
  | { readonly kind: 'reasoning'; readonly text: string; readonly signature: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tool'; readonly call: ToolCall };

/** What the model returns: text, or calls of tools, or both; before it, its reasoning. */
export interface ComposedResponse {
  readonly blocks: readonly ComposedBlock[];
  /** Empty if a tool is called without a word. */
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  /** Undefined unless the turn asks for it. */
  readonly reasoning: string | undefined;
  readonly stopReason: 'end_turn' | 'tool_use' | 'max_tokens' | 'stop_sequence';
  readonly stopSequence: string | undefined;
  readonly tokens: PromptTokens;
  /** The reasoning's included. */
  readonly outputTokens: number;
  readonly reasoningTokens: number;
  readonly latencyMs: number;
}

/** Tokens that a call of a tool costs beside its input. */
const TOOL_CALL_TOKENS = 12;

/** The response to a turn: the given one, if there is one. */
export function composeResponse(turn: Turn, given?: GivenAnswer): ComposedResponse {
  const tool = given === undefined ? chooseTool(turn) : undefined;
  const toolCalls =
    tool === undefined ? (given?.toolCalls ?? []) : [{ name: tool.name, input: sampleOfSchema(tool.schema) }];
  const response =
    toolCalls.length > 0
      ? callTools(turn, toolCalls, given?.text ?? '')
      : sayText(turn, given?.text ?? writeText(turn));
  return given === undefined ? response : withGiven(response, given);
}

function sayText(turn: Turn, whole: string): ComposedResponse {
  const stop = findStop(whole, turn.stopSequences);
  const text = stop === undefined ? whole : whole.slice(0, stop.at);
  const tokens = splitTokens(text);
  const isCut = tokens.length > turn.maxTokens;
  const kept = isCut ? tokens.slice(0, turn.maxTokens).join('') : text;
  return finish(turn, {
    text: kept,
    toolCalls: [],
    stopReason: isCut ? 'max_tokens' : stop === undefined ? 'end_turn' : 'stop_sequence',
    stopSequence: isCut ? undefined : stop?.sequence,
    answerTokens: Math.min(tokens.length, turn.maxTokens),
  });
}

/** The pieces in which a part of a response arrives on a stream: of its text, or of the JSON of a tool's input. */
export function piecesOf(block: ComposedBlock): string[] {
  return block.kind === 'tool' ? halves(JSON.stringify(block.call.input)) : splitTokens(block.text);
}

/** The response of a model that was kept from giving one. */
export function blockResponse(response: ComposedResponse, text: string): ComposedResponse {
  const tokens = { input: 0, ...NO_CACHE_USE };
  const nothing = { toolCalls: [], reasoning: undefined, outputTokens: 0, reasoningTokens: 0, tokens };
  return { ...response, ...nothing, text, blocks: [{ kind: 'text', text }] };
}

function chooseTool({ tools, toolChoice, userText, toolResults }: Turn): OfferedTool | undefined {
  if (toolChoice === 'none') return undefined;
  if (toolChoice === 'any') return tools[0];
  if (toolChoice !== 'auto') return tools.find((tool) => tool.name === toolChoice.name);
  return toolResults.length > 0 ? undefined : chooseToolFor(userText, tools);
}

function callTools(turn: Turn, calls: GivenAnswer['toolCalls'], text: string): ComposedResponse {
  const seed = [turn.modelId, turn.userText, totalOf(turn.tokens)];
  const toolCalls = calls.map(({ name, input }, index) => {
    const number = index === 0 ? [] : [index];
    return { name, id: stableId('', JSON.stringify([...seed, name, ...number]), 22), input };
  });
  const inputTokens = toolCalls.map(({ input }) => TOOL_CALL_TOKENS + countTokens(JSON.stringify(input)));
  return finish(turn, {
    text,
    toolCalls,
    stopReason: 'tool_use',
    stopSequence: undefined,
    answerTokens: inputTokens.reduce((sum, tokens) => sum + tokens, text === '' ? 0 : countTokens(text)),
  });
}

function withGiven(response: ComposedResponse, { stopReason, usage }: GivenAnswer): ComposedResponse {
  const { tokens, outputTokens } = response;
  return {
    ...response,
    stopReason: stopReason ?? response.stopReason,
    outputTokens: usage.outputTokens ?? outputTokens,
    tokens: {
      input: usage.inputTokens ?? tokens.input,
      read: usage.cacheReadTokens ?? tokens.read,
      written: usage.cacheWriteTokens === undefined ? tokens.written : { '5m': usage.cacheWriteTokens, '1h': 0 },
    },
  };
}

function finish(
  turn: Turn,
  {
    answerTokens,
    ...answer
  }: Pick<ComposedResponse, 'text' | 'toolCalls' | 'stopReason' | 'stopSequence'> & {
    readonly answerTokens: number;
  },
): ComposedResponse {
  const reasoning = turn.isReasoning ? reasonAbout(turn, answer.toolCalls[0]) : undefined;
  const reasoningTokens = reasoning === undefined ? 0 : countTokens(reasoning);
  const outputTokens = answerTokens + reasoningTokens;
  const isSilent = answer.text === '' && answer.toolCalls.length > 0;
  const blocks: ComposedBlock[] = [
    ...(reasoning === undefined ? [] : [{ kind: 'reasoning', text: reasoning, signature: sign(reasoning) } as const]),
    ...(isSilent ? [] : [{ kind: 'text', text: answer.text } as const]),
    ...answer.toolCalls.map((call) => ({ kind: 'tool', call }) as const),
  ];
  const { tokens } = turn;
  return {
    ...answer,
    blocks,
    reasoning,
    tokens,
    outputTokens,
    reasoningTokens,
    latencyMs: estimateLatencyMs(outputTokens),
  };
}

function reasonAbout({ userText, toolResults }: Turn, call: ToolCall | undefined): string {
  if (call !== undefined) return `The message is about what ${call.name} does, so I call it.`;
  if (toolResults.length > 0) return 'The tool has answered, so I pass on what it said.';
  return `The user wrote ${countTokens(userText)} tokens, and I repeat them.`;
}

function sign(reasoning: string): string {
  return stableId('', `signature of ${reasoning}`, 64);
}

function writeText({ modelId, userText, toolResults, schema }: Turn): string {
  if (schema !== undefined) return JSON.stringify(sampleOfSchema(schema));
  const speaker = `Offline answer of ${modelId}`;
  if (toolResults.length > 0) return `${speaker}: the tool said: ${toolResults.join('; ')}`;
  return userText.trim() === '' ? `${speaker} to a message without text.` : `${speaker}: you said: ${userText}`;
}

function findStop(text: string, sequences: readonly string[]): { at: number; sequence: string } | undefined {
  return sequences
    .filter((sequence) => sequence !== '' && text.includes(sequence))
    .map((sequence) => ({ at: text.indexOf(sequence), sequence }))
    .toSorted((one, other) => one.at - other.at)[0];
}

function totalOf({ input, read, written }: PromptTokens): number {
  return input + read + written['5m'] + written['1h'];
}

function halves(text: string): string[] {
  const middle = Math.ceil(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)].filter((piece) => piece !== '');
}
