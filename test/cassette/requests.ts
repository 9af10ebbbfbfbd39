/** Requests and recordings for the tests of cassettes. */
import type {
  MatchableRequest,
  NamedRecording,
  RecordedRequest,
  RecordedResponse,
} from '../../src/cassette/recording.ts';

const MODEL = 'anthropic.claude-haiku-4-5-20251001-v1:0';

/** A request of Converse. */
export function converse(body: unknown, changes: Partial<MatchableRequest> = {}): MatchableRequest {
  return {
    service: 'bedrock-runtime',
    operation: 'Converse',
    method: 'POST',
    path: `/model/${encodeURIComponent(MODEL)}/converse`,
    query: '',
    headers: [['content-type', 'application/json']],
    body: Buffer.from(JSON.stringify(body)),
    ...changes,
  };
}

/** A conversation of one text. */
export const say = (text: string, more: object = {}): object => ({
  messages: [{ role: 'user', content: [{ text }] }],
  ...more,
});

/** The same request as a cassette has it. */
export function recordedOf({ body, query, ...request }: MatchableRequest): RecordedRequest {
  const text = Buffer.from(body).toString();
  return {
    ...request,
    ...(query === '' ? {} : { query }),
    ...(text === '' ? {} : { body: { json: JSON.parse(text) } }),
  };
}

/** A recording of a request under a name. */
export function recording(
  name: string,
  request: MatchableRequest,
  response: Partial<RecordedResponse> = {},
): NamedRecording {
  return {
    name,
    recording: {
      version: 1,
      request: recordedOf(request),
      response: { status: 200, headers: [], firstByteMs: 1, end: 'complete', bytes: 0, ...response },
    },
  };
}
