/**
 * InvokeModel of the models that paint: Titan Image, Nova Canvas, Stability's. Every picture is one dot, whose colour
 * follows from the prompt. Pure.
 */
import { createHash } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';
import { uncached, type InvokeContext, type InvokeOutcome } from './invoke-outcome.ts';
import { asCount, asObject, asText, type JsonObject } from '../../lib/json.ts';

const LATENCY_MS = 500;
const MAX_IMAGES = 5;
const PNG_SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
/** One pixel by one, eight bits of each colour. */
const PNG_HEADER = Buffer.from('00000001000000010802000000', 'hex');

/** Responds to a body that asks for a picture. */
export function invokeImage(body: JsonObject, { modelId }: InvokeContext): InvokeOutcome {
  return modelId.startsWith('stability.') ? paintStability(body) : paintAmazon(body);
}

function paintAmazon(body: JsonObject): InvokeOutcome {
  const task = asText(body['taskType']);
  if (task === '') return { problem: 'Malformed input request: taskType is required.' };
  const count = asCount(asObject(body['imageGenerationConfig'])['numberOfImages'], 1, 1);
  if (count > MAX_IMAGES)
    return { problem: `Malformed input request: numberOfImages must be between 1 and ${MAX_IMAGES}.` };
  const images = Array.from({ length: count }, (_, index) => paint(`${index} ${JSON.stringify(body)}`));
  return painted({ images, error: null });
}

function paintStability(body: JsonObject): InvokeOutcome {
  if (!('prompt' in body) && !('image' in body) && !('text_prompts' in body)) {
    return { problem: 'Malformed input request: prompt or image is required.' };
  }
  const image = paint(JSON.stringify(body));
  const seed = asCount(body['seed'], 0, 0);
  if ('text_prompts' in body) {
    return painted({ result: 'success', artifacts: [{ seed, base64: image, finishReason: 'SUCCESS' }] });
  }
  return painted({ seeds: [seed], finish_reasons: [null], images: [image] });
}

/** A PNG of one dot, base64. */
function paint(text: string): string {
  const colour = createHash('sha256').update(text).digest().subarray(0, 3);
  const line = deflateSync(Buffer.concat([Buffer.from([0]), colour]));
  const chunks = [pngChunk('IHDR', PNG_HEADER), pngChunk('IDAT', line), pngChunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([PNG_SIGNATURE, ...chunks]).toString('base64');
}

function pngChunk(type: string, content: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type), content]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  sum.writeUInt32BE(crc32(typed));
  return Buffer.concat([length, typed, sum]);
}

function painted(content: object): InvokeOutcome {
  return { content, streamed: undefined, tokens: uncached(0), outputTokens: 0, latencyMs: LATENCY_MS };
}
