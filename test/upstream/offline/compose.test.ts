import { describe, expect, it } from 'vitest';
import { composeResponse, piecesOf, PLAIN_TURN, type Turn } from '../../../src/upstream/offline/compose.ts';
import { uncached } from '../../../src/upstream/offline/invoke-outcome.ts';

const TURN: Turn = {
  ...PLAIN_TURN,
  modelId: 'm',
  userText: 'one two three',
  tokens: uncached(10),
  maxTokens: 100,
};

function streamedPieces({ blocks }: ReturnType<typeof composeResponse>): string[] {
  return blocks.flatMap(piecesOf);
}

describe('composeResponse', () => {
  it('repeats the text in pieces that make the text again', () => {
    const response = composeResponse(TURN);
    expect(response).toMatchObject({ text: 'Offline answer of m: you said: one two three', stopReason: 'end_turn' });
    expect(streamedPieces(response).join('')).toBe(response.text);
    expect(streamedPieces(response)).toHaveLength(response.outputTokens);
  });

  it('says so if there was no text', () => {
    expect(composeResponse({ ...TURN, userText: ' ' }).text).toBe('Offline answer of m to a message without text.');
  });

  it.each([
    { name: 'nothing', edit: {}, stopReason: 'end_turn', stopSequence: undefined },
    {
      name: 'the earliest stop sequence',
      edit: { stopSequences: ['three', '', ' two'] },
      stopReason: 'stop_sequence',
      stopSequence: ' two',
    },
    {
      name: 'maxTokens before the sequence',
      edit: { stopSequences: ['three'], maxTokens: 4 },
      stopReason: 'max_tokens',
      stopSequence: undefined,
    },
    {
      name: 'maxTokens just not',
      edit: { stopSequences: [' of'], maxTokens: 4 },
      stopReason: 'stop_sequence',
      stopSequence: ' of',
    },
  ])('stops its text at $name', ({ edit, stopReason, stopSequence }) => {
    expect(composeResponse({ ...TURN, ...edit })).toMatchObject({ stopReason, stopSequence });
  });

  const tools = [
    { name: 'look', description: 'Describes a picture.', schema: {} },
    { name: 'hear', description: 'Tells birds by their songs.', schema: { properties: { what: { enum: ['birds'] } } } },
  ];

  it.each([
    { name: 'any: the first', edit: { toolChoice: 'any' }, called: 'look' },
    { name: 'a name: that one', edit: { toolChoice: { name: 'hear' } }, called: 'hear' },
    { name: 'auto: the one the text names', edit: { userText: 'please hear' }, called: 'hear' },
    { name: 'auto: none if the text is about none', edit: {}, called: undefined },
    { name: 'auto: the one the text is about', edit: { userText: 'Which bird is it?' }, called: 'hear' },
    {
      name: 'auto: none once it has answered',
      edit: { userText: 'please hear', toolResults: ['x'] },
      called: undefined,
    },
    { name: 'none: none', edit: { toolChoice: 'none', userText: 'please hear' }, called: undefined },
  ] satisfies { name: string; edit: Partial<Turn>; called: string | undefined }[])(
    'calls a tool by the choice of $name',
    ({ edit, called }) => {
      const response = composeResponse({ ...TURN, tools, ...edit });
      expect(response.toolCalls[0]?.name).toBe(called);
      if (called === undefined) return;
      expect(response).toMatchObject({ text: '', stopReason: 'tool_use' });
      expect(JSON.parse(streamedPieces(response).join(''))).toEqual(response.toolCalls[0]?.input);
    },
  );

  it('reasons before it answers, if it is asked to', () => {
    const response = composeResponse({ ...TURN, isReasoning: true });
    expect(response.blocks.map(({ kind }) => kind)).toEqual(['reasoning', 'text']);
    expect(response.reasoningTokens).toBeGreaterThan(0);
    expect(response.outputTokens).toBe(composeResponse(TURN).outputTokens + response.reasoningTokens);
    const calling = composeResponse({ ...TURN, tools, toolChoice: 'any', isReasoning: true });
    expect(calling.blocks.map(({ kind }) => kind)).toEqual(['reasoning', 'tool']);
  });

  it('writes JSON of a schema, if it is asked to', () => {
    const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] };
    expect(composeResponse({ ...TURN, schema }).text).toBe('{"a":1}');
  });
});
