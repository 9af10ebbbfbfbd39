import { describe, expect, it } from 'vitest';
import { composeResponse, streamedPieces, type Turn } from '../../../src/upstream/offline/compose.ts';

const TURN: Turn = {
  modelId: 'm',
  userText: 'one two three',
  toolResults: [],
  inputTokens: 10,
  maxTokens: 100,
  stopSequences: [],
  tools: [],
  toolChoice: 'auto',
};

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
    { name: 'look', schema: {} },
    { name: 'hear', schema: { properties: { what: { enum: ['birds'] } } } },
  ];

  it.each([
    { name: 'any: the first', edit: { toolChoice: 'any' }, called: 'look' },
    { name: 'a name: that one', edit: { toolChoice: { name: 'hear' } }, called: 'hear' },
    { name: 'auto: the one the text names', edit: { userText: 'please hear' }, called: 'hear' },
    { name: 'auto: none the text does not name', edit: {}, called: undefined },
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
      expect(response.toolCall?.name).toBe(called);
      if (called === undefined) return;
      expect(response).toMatchObject({ text: '', stopReason: 'tool_use' });
      expect(JSON.parse(streamedPieces(response).join(''))).toEqual(response.toolCall?.input);
    },
  );
});
