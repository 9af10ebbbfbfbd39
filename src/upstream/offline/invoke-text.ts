/**
 * InvokeModel of the models that go on with a text: Llama, Mistral, DeepSeek-R1, Titan, Command, Claude 2. They differ
 * in the names of their members alone, so each is a row of one table. Pure.
 */
import { piecesOf, PLAIN_TURN } from './compose.ts';
import { uncached, type InvokeContext, type InvokeOutcome } from './invoke-outcome.ts';
import { asCount, asObject, asText, asTexts, type JsonObject } from '../../lib/json.ts';
import { countTokens, stableId } from './tokens.ts';

/** What a model went on with. */
interface Written {
  readonly text: string;
  readonly isCut: boolean;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly id: string;
  readonly prompt: string;
}

/** The names of a provider's members. */
interface TextShape {
  readonly prompt: string;
  /** As it is in a body. */
  readonly read: (body: JsonObject) => { readonly maxTokens: unknown; readonly stops?: unknown };
  readonly whole: (written: Written) => object;
  /** One chunk of a stream; of the last, the text is empty. */
  readonly chunk: (piece: string, written: Written, isLast: boolean) => object;
}

/** The text shapes, by the names of shapes.ts. */
export type TextShapeName = 'llama' | 'mistral-text' | 'deepseek-text' | 'titan-text' | 'cohere-text' | 'cohere-chat';

const DEFAULT_MAX_TOKENS = 512;

const stopOf = ({ isCut }: Written): string => (isCut ? 'length' : 'stop');
const finishOf = ({ isCut }: Written): string => (isCut ? 'MAX_TOKENS' : 'COMPLETE');

const SHAPES: Readonly<Record<TextShapeName | 'claude-text', TextShape>> = {
  llama: {
    prompt: 'prompt',
    read: (body) => ({ maxTokens: body['max_gen_len'] }),
    whole: (written) => ({
      generation: written.text,
      prompt_token_count: written.inputTokens,
      generation_token_count: written.outputTokens,
      stop_reason: stopOf(written),
    }),
    chunk: (generation, written, isLast) => ({
      generation,
      prompt_token_count: isLast ? null : written.inputTokens,
      generation_token_count: isLast ? written.outputTokens : 1,
      stop_reason: isLast ? stopOf(written) : null,
    }),
  },
  'mistral-text': {
    prompt: 'prompt',
    read: (body) => ({ maxTokens: body['max_tokens'], stops: body['stop'] }),
    whole: (written) => ({ outputs: [{ text: written.text, stop_reason: stopOf(written) }] }),
    chunk: (text, written, isLast) => ({ outputs: [{ text, stop_reason: isLast ? stopOf(written) : null }] }),
  },
  'deepseek-text': {
    prompt: 'prompt',
    read: (body) => ({ maxTokens: body['max_tokens'], stops: body['stop'] }),
    whole: (written) => ({ choices: [{ text: written.text, stop_reason: stopOf(written) }] }),
    chunk: (text, written, isLast) => ({ choices: [{ text, stop_reason: isLast ? stopOf(written) : null }] }),
  },
  'titan-text': {
    prompt: 'inputText',
    read: (body) => {
      const { maxTokenCount, stopSequences } = asObject(body['textGenerationConfig']);
      return { maxTokens: maxTokenCount, stops: stopSequences };
    },
    whole: ({ text, isCut, inputTokens, outputTokens }) => ({
      inputTextTokenCount: inputTokens,
      results: [{ tokenCount: outputTokens, outputText: text, completionReason: isCut ? 'LENGTH' : 'FINISH' }],
    }),
    chunk: (outputText, { isCut, inputTokens, outputTokens }, isLast) => ({
      outputText,
      index: 0,
      totalOutputTextTokenCount: isLast ? outputTokens : null,
      completionReason: isLast ? (isCut ? 'LENGTH' : 'FINISH') : null,
      inputTextTokenCount: isLast ? inputTokens : null,
    }),
  },
  'cohere-text': {
    prompt: 'prompt',
    read: (body) => ({ maxTokens: body['max_tokens'], stops: body['stop_sequences'] }),
    whole: (written) => ({
      id: written.id,
      generations: [{ id: written.id, text: written.text, finish_reason: finishOf(written) }],
      prompt: written.prompt,
    }),
    chunk: (text, written, isLast) =>
      isLast ? { is_finished: true, finish_reason: finishOf(written) } : { text, is_finished: false },
  },
  'cohere-chat': {
    prompt: 'message',
    read: (body) => ({ maxTokens: body['max_tokens'], stops: body['stop_sequences'] }),
    whole: commandOf,
    chunk: (text, written, isLast) =>
      isLast
        ? {
            event_type: 'stream-end',
            is_finished: true,
            finish_reason: finishOf(written),
            response: commandOf(written),
          }
        : { event_type: 'text-generation', is_finished: false, text },
  },
  'claude-text': {
    prompt: 'prompt',
    read: (body) => ({ maxTokens: body['max_tokens_to_sample'], stops: body['stop_sequences'] }),
    whole: claudeOf,
    chunk: (completion, written, isLast) =>
      isLast ? { ...claudeOf(written), completion } : { type: 'completion', completion, stop_reason: null, stop: null },
  },
};

/** What stands around the user's words in a prompt, by the templates of the providers. The last turn counts. */
const TEMPLATES: readonly (readonly [before: string, after: string])[] = [
  ['<|start_header_id|>user<|end_header_id|>', '<|eot_id|>'],
  ['<|header_start|>user<|header_end|>', '<|eot|>'],
  ['[INST]', '[/INST]'],
  ['<｜User｜>', '<｜Assistant｜>'],
  ['\n\nHuman:', '\n\nAssistant:'],
  ['\nUser:', '\nBot:'],
];

/** Responds to a body of a text shape. */
export function invokeText(
  name: TextShapeName | 'claude-text',
  body: JsonObject,
  context: InvokeContext,
): InvokeOutcome {
  const shape = SHAPES[name];
  const prompt = asText(body[shape.prompt]);
  if (prompt.trim() === '') {
    const missing = `#: required key [${shape.prompt}] not found`;
    return { problem: `Malformed input request: ${missing}, please reformat your input and try again.` };
  }
  const { maxTokens, stops } = shape.read(body);
  const response = context.respond({
    ...PLAIN_TURN,
    modelId: context.modelId,
    userText: userTextOf(prompt),
    tokens: uncached(countTokens(prompt)),
    maxTokens: asCount(maxTokens, 1, DEFAULT_MAX_TOKENS),
    stopSequences: asTexts(stops),
  });
  const { text, stopReason, outputTokens, latencyMs, tokens } = response;
  const id = stableId('', context.modelId + prompt, 24);
  const written = { text, isCut: stopReason === 'max_tokens', inputTokens: tokens.input, outputTokens, id, prompt };
  const pieces = response.blocks
    .filter(({ kind }) => kind === 'text')
    .flatMap(piecesOf)
    .map((piece) => shape.chunk(piece, written, false));
  const streamed = [...pieces, shape.chunk('', written, true)];
  return { content: shape.whole(written), streamed, tokens, outputTokens, latencyMs };
}

/** The last turn of the user, without the provider's template. */
function userTextOf(prompt: string): string {
  for (const [before, after] of TEMPLATES) {
    const start = prompt.lastIndexOf(before);
    const end = start === -1 ? -1 : prompt.indexOf(after, start);
    if (end !== -1) return prompt.slice(start + before.length, end).trim();
  }
  return prompt;
}

function commandOf(written: Written): object {
  const { id, text, prompt } = written;
  const history = [
    { role: 'USER', message: prompt },
    { role: 'CHATBOT', message: text },
  ];
  return { response_id: id, generation_id: id, text, chat_history: history, finish_reason: finishOf(written) };
}

function claudeOf({ text, isCut }: Written): object {
  const stop = isCut ? null : '\n\nHuman:';
  return { type: 'completion', completion: text, stop_reason: isCut ? 'max_tokens' : 'stop_sequence', stop };
}
