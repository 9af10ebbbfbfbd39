/**
 * Where a request names a guardrail, which AWS bills besides the model: by the unit, and without a word of it in many
 * responses. Reads what is handed in; decides nothing.
 */
import { findHeader, type HeaderPair } from '../http/message.ts';

/** Of Converse, of an inline agent, of an answer from a knowledge base. */
export const GUARDRAIL_PATHS = [
  'guardrailConfig.guardrailIdentifier',
  'guardrailConfiguration.guardrailIdentifier',
  'retrieveAndGenerateConfiguration.*.generationConfiguration.guardrailConfiguration.guardrailId',
] as const;

/** Of InvokeModel, and of OpenAI's API. */
const GUARDRAIL_HEADER = 'x-amzn-bedrock-guardrailidentifier';

/** What no body lacks that names one: part of the member's name, or a letter that is written as its number. */
const TRACES = ['guardrail', String.raw`\u006`, String.raw`\u007`];
/** Bytes of a trace that may stand before the end of a piece. */
const OVERLAP_BYTES = 8;

/** Whether the headers name a guardrail. */
export function namesGuardrailInHeader(headers: readonly HeaderPair[]): boolean {
  return findHeader(headers, GUARDRAIL_HEADER) !== undefined;
}

/**
 * Whether a body may name a guardrail, so that it is worth reading: a search for bytes, some hundred times as fast as
 * reading. A compressed body is not for this. Never throws: one that cannot be read back names none.
 */
export function mayNameGuardrail(pieces: readonly Buffer[] | AsyncIterable<Buffer>): boolean | Promise<boolean> {
  return Symbol.asyncIterator in pieces ? lookInto(pieces).catch(() => false) : pieces.some(createLook());
}

async function lookInto(pieces: AsyncIterable<Buffer>): Promise<boolean> {
  const look = createLook();
  for await (const piece of pieces) if (look(piece)) return true;
  return false;
}

/** Remembers how the piece before ended. */
function createLook(): (piece: Buffer) => boolean {
  let before: Buffer | undefined;
  return (piece) => {
    // Most bodies are one piece.
    const seam = before && Buffer.concat([before, piece.subarray(0, OVERLAP_BYTES)]);
    const end = piece.subarray(-OVERLAP_BYTES);
    before = before === undefined ? end : Buffer.concat([before, end]).subarray(-OVERLAP_BYTES);
    return TRACES.some((trace) => piece.includes(trace) || seam?.includes(trace) === true);
  };
}
