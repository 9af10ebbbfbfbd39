/** Scripts of the offline Bedrock: what is wrong in one, and which rule is for which turn. */
import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PLAIN_TURN, type Turn } from '../../../src/upstream/offline/compose.ts';
import { uncached } from '../../../src/upstream/offline/invoke-outcome.ts';
import { parseScript, type Script } from '../../../src/upstream/offline/script.ts';
import { failureOf } from '../../helpers/failure.ts';

const TURN: Turn = {
  ...PLAIN_TURN,
  modelId: 'anthropic.claude-haiku-4-5-20251001-v1:0',
  userText: 'What is the Weather in Paris?',
  tokens: uncached(10),
  maxTokens: 100,
};
const TOOLS = [{ name: 'get_weather', description: '', schema: {} }];

const scriptOf = (...rules: readonly unknown[]): Script => parseScript(JSON.stringify({ rules }));
const rule = (when: unknown, text: string): object => ({ when, answer: { text } });

/** The text that a script gives; undefined: it has no rule for this. */
function textFor(script: Script, turn: Partial<Turn> = {}): string | undefined {
  const answer = script.findAnswer({ ...TURN, ...turn });
  return answer !== undefined && 'given' in answer ? answer.given.text : undefined;
}

describe('a script', () => {
  it.each([
    { name: 'no JSON', text: '{', says: /the file must be JSON/ },
    { name: 'a list', text: '[]', says: /the file must be an object/ },
    { name: 'no rules', text: '{}', says: /rules must be a list of one rule at least/ },
    { name: 'another member', text: '{"rule":[]}', says: /rule is not known here/, hints: /Did you mean rules\?/ },
    { name: 'a rule that is no object', rules: [1], says: /rules\[0\] must be an object/ },
    { name: 'no answer', rules: [{}], says: /rules\[0\]\.answer is missing/ },
    {
      name: 'a name that was mistyped',
      rules: [{ when: { word: 'x' }, answer: { text: 'y' } }],
      says: /rules\[0\]\.when\.word is not known here/,
      hints: /Did you mean words\?/,
    },
    { name: 'words that are none', rules: [rule({ words: [1] }, 'y')], says: /when\.words must be a text, or a list/ },
    { name: 'an empty pattern', rules: [rule({ model: '' }, 'y')], says: /when\.model must be a text/ },
    { name: 'an empty answer', rules: [{ answer: {} }], says: /answer must have text, json, toolCalls or error/ },
    {
      name: 'an answer that fails and speaks',
      rules: [{ answer: { text: 'x', error: 'throttle' } }],
      says: /answer\.text cannot stand beside error/,
    },
    {
      name: 'two texts',
      rules: [{ answer: { text: 'x', json: {} } }],
      says: /answer\.json cannot stand beside text/,
    },
    {
      name: 'an unknown failure',
      rules: [{ answer: { error: 'trottle' } }],
      says: /answer\.error must be one of the known failures, not "trottle"/,
      hints: /Did you mean throttle\?.*stream-error/,
    },
    {
      name: 'an exception that AWS does not have, without a status',
      rules: [{ answer: { error: { type: 'OddException' } } }],
      says: /answer\.error\.status must be given/,
    },
    {
      name: 'a status that is no error',
      rules: [{ answer: { error: { type: 'ThrottlingException', status: 200 } } }],
      says: /answer\.error\.status must be a whole number from 400/,
    },
    {
      name: 'a type that would be two headers',
      rules: [{ answer: { error: { type: 'A\r\nx: y', status: 400 } } }],
      says: /answer\.error\.type must be the name of an exception/,
    },
    {
      name: 'a tool call without a name',
      rules: [{ answer: { toolCalls: [{ input: {} }] } }],
      says: /toolCalls\[0\]\.name must be a text/,
    },
    {
      name: 'a tool call whose input is a list',
      rules: [{ answer: { toolCalls: [{ name: 'x', input: [] }] } }],
      says: /toolCalls\[0\]\.input must be an object/,
    },
    { name: 'one tool call for a list', rules: [{ answer: { toolCalls: {} } }], says: /toolCalls must be a list/ },
    {
      name: 'a count below zero',
      rules: [{ answer: { text: 'x', usage: { inputTokens: -1 } } }],
      says: /usage\.inputTokens must be a whole number from 0/,
    },
    { name: 'a rule for no time', rules: [{ answer: { text: 'x' }, times: 0 }], says: /times must be a whole number/ },
    {
      name: 'an unknown reason',
      rules: [{ answer: { text: 'x', stopReason: 'bored' } }],
      says: /stopReason must be one of end_turn/,
    },
  ])('is refused with $name, at its place', async ({ text, rules, says, hints = /^/ }) => {
    const failure = await failureOf(() => parseScript(text ?? JSON.stringify({ rules })));
    expect(failure).toMatchObject({ code: 'ERR_BAD_OPTION', message: expect.stringMatching(says) });
    expect(failure.message).toMatch(/^In the file of --script, /);
    expect(failure.hint ?? '').toMatch(hints);
  });

  it('may be the one of the docs, or of an example', () => {
    const [, ofDocs = ''] =
      /^```json\n(\{\n {2}"rules"[^]*?)^```$/m.exec(readFileSync('docs/testing.md', 'utf8')) ?? [];
    const examples = globSync('examples/*/**/script.json').map((path) => readFileSync(path, 'utf8'));
    expect([ofDocs, ...examples].map((text) => parseScript(text).ruleCount)).toEqual([4, 5, 3]);
  });

  it('may begin with a byte order mark', () => {
    expect(parseScript('\uFEFF{"rules":[{"answer":{"text":"x"}}]}').ruleCount).toBe(1);
  });
});

describe('a rule', () => {
  it.each([
    { name: 'one without a condition, for everything', when: undefined, turn: {}, isFor: true },
    { name: 'words in any case', when: { words: 'weather' }, turn: {}, isFor: true },
    { name: 'words that are not all there', when: { words: ['weather', 'rome'] }, turn: {}, isFor: false },
    { name: 'words that are all there', when: { words: ['weather', 'PARIS'] }, turn: {}, isFor: true },
    { name: 'a model', when: { model: '*haiku*' }, turn: {}, isFor: true },
    { name: 'another model', when: { model: '*opus*' }, turn: {}, isFor: false },
    { name: 'a model with a geography', when: { model: 'us.anthropic.claude-haiku*' }, turn: {}, isFor: true },
    { name: 'a tool that is offered', when: { tool: 'get_weather' }, turn: { tools: TOOLS }, isFor: true },
    { name: 'a tool that is not offered', when: { tool: 'get_weather' }, turn: {}, isFor: false },
    { name: 'words, once a tool has returned', when: { words: 'paris' }, turn: { toolResults: ['x'] }, isFor: false },
    { name: 'what a tool returned', when: { toolResult: 'rain' }, turn: { toolResults: ['Rain'] }, isFor: true },
    { name: 'another result', when: { toolResult: 'sun' }, turn: { toolResults: ['Rain'] }, isFor: false },
    { name: 'a result before there is one', when: { toolResult: '' }, turn: {}, isFor: false },
  ] satisfies { name: string; when: unknown; turn: Partial<Turn>; isFor: boolean }[])(
    'is for a message, or not: $name',
    ({ when, turn, isFor }) => {
      expect(textFor(scriptOf(rule(when, 'yes')), turn)).toBe(isFor ? 'yes' : undefined);
    },
  );

  it('counts before those after it', () => {
    expect(textFor(scriptOf(rule({ words: 'paris' }, 'first'), rule({}, 'second')))).toBe('first');
  });

  it('is passed over when it was used as often as it may be', () => {
    const script = scriptOf({ times: 2, ...rule({}, 'at first') }, rule({}, 'then'));
    expect([1, 2, 3, 4].map(() => textFor(script))).toEqual(['at first', 'at first', 'then', 'then']);
  });

  it('calls a tool once, and not again for what the tool returned', () => {
    const script = scriptOf({ when: { tool: 'get_weather' }, answer: { toolCalls: [{ name: 'get_weather' }] } });
    expect(script.findAnswer({ ...TURN, tools: TOOLS })).toMatchObject({ given: { toolCalls: [{ input: {} }] } });
    expect(script.findAnswer({ ...TURN, tools: TOOLS, toolResults: ['rain'] })).toBeUndefined();
  });
});
