/**
 * The model of the offline Bedrock: its response to a turn of a conversation, whatever shape the turn came in. Pure and
 * deterministic. It repeats the user's text, or calls a tool if it must or if the text names one.
 */
import { sampleOfSchema } from './schema-sample.ts';
import { countTokens, estimateLatencyMs, splitTokens, stableId } from './tokens.ts';

/** A tool the model may call; the schema is JSON Schema, unchecked. */
export interface OfferedTool {
  readonly name: string;
  readonly schema: unknown;
}

/** What is asked of a model. */
export interface Turn {
  /** As the response shall name it. */
  readonly modelId: string;
  /** The text of the last user message. */
  readonly userText: string;
  /** The texts of the tool results in the last user message. */
  readonly toolResults: readonly string[];
  readonly inputTokens: number;
  readonly maxTokens: number;
  readonly stopSequences: readonly string[];
  readonly tools: readonly OfferedTool[];
  /** `auto` calls a tool whose name stands in the user's text; a name calls that one. */
  readonly toolChoice: 'auto' | 'any' | 'none' | { readonly name: string };
}

/** A tool that a model asks for. */
export interface ToolCall {
  readonly name: string;
  /** Unique within a response, without a prefix. */
  readonly id: string;
  readonly input: unknown;
}

/** What the model returns: text, or a call of a tool. */
export interface ComposedResponse {
  readonly text: string;
  readonly toolCall: ToolCall | undefined;
  readonly stopReason: 'end_turn' | 'tool_use' | 'max_tokens' | 'stop_sequence';
  readonly stopSequence: string | undefined;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly latencyMs: number;
}

/** Tokens that a call of a tool costs beside its input. */
const TOOL_CALL_TOKENS = 12;

/** The response to a turn. */
export function composeResponse(turn: Turn): ComposedResponse {
  const tool = chooseTool(turn);
  if (tool !== undefined) return callTool(turn, tool);
  const whole = writeText(turn);
  const stop = findStop(whole, turn.stopSequences);
  const text = stop === undefined ? whole : whole.slice(0, stop.at);
  const tokens = splitTokens(text);
  const isCut = tokens.length > turn.maxTokens;
  const kept = isCut ? tokens.slice(0, turn.maxTokens).join('') : text;
  return {
    text: kept,
    toolCall: undefined,
    stopReason: isCut ? 'max_tokens' : stop === undefined ? 'end_turn' : 'stop_sequence',
    stopSequence: isCut ? undefined : stop?.sequence,
    ...measure(turn, Math.min(tokens.length, turn.maxTokens)),
  };
}

/** The pieces in which a text arrives on a stream. */
export function streamedPieces(response: ComposedResponse): string[] {
  return response.toolCall === undefined ? splitTokens(response.text) : halves(JSON.stringify(response.toolCall.input));
}

function chooseTool({ tools, toolChoice, userText, toolResults }: Turn): OfferedTool | undefined {
  if (toolChoice === 'none') return undefined;
  if (toolChoice === 'any') return tools[0];
  if (toolChoice !== 'auto') return tools.find((tool) => tool.name === toolChoice.name);
  return toolResults.length > 0 ? undefined : tools.find((tool) => userText.includes(tool.name));
}

function callTool(turn: Turn, tool: OfferedTool): ComposedResponse {
  const input = sampleOfSchema(tool.schema);
  const id = stableId('', JSON.stringify([turn.modelId, turn.userText, turn.inputTokens, tool.name]), 22);
  return {
    text: '',
    toolCall: { name: tool.name, id, input },
    stopReason: 'tool_use',
    stopSequence: undefined,
    ...measure(turn, TOOL_CALL_TOKENS + countTokens(JSON.stringify(input))),
  };
}

function writeText({ modelId, userText, toolResults }: Turn): string {
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

function measure(
  turn: Turn,
  outputTokens: number,
): Pick<ComposedResponse, 'inputTokens' | 'outputTokens' | 'latencyMs'> {
  return { inputTokens: turn.inputTokens, outputTokens, latencyMs: estimateLatencyMs(outputTokens) };
}

function halves(text: string): string[] {
  const middle = Math.ceil(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)].filter((piece) => piece !== '');
}
