/**
 * The script of the offline Bedrock: rules of its owner's about what the model says to which message, read strictly
 * from JSON. The first rule that is for a message, and not used up, counts. Does no I/O.
 *
 *     { "rules": [ { "when": { "words": "weather", "tool": "get_weather" },
 *                    "answer": { "toolCalls": [{ "name": "get_weather", "input": { "city": "Paris" } }] } },
 *                  { "when": { "toolResult": "rain" }, "answer": { "text": "Take an umbrella." } },
 *                  { "when": { "model": "*haiku*" }, "times": 2, "answer": { "error": "throttle" } } ] }
 */
import { matchesGlob } from '../../lib/glob.ts';
import { ProxyError } from '../../lib/errors.ts';
import { isObject, type JsonObject } from '../../lib/json.ts';
import { findNearest } from '../../lib/nearest-name.ts';
import { printable, quote } from '../../lib/printable.ts';
import type { ComposedResponse, GivenAnswer, GivenUsage, Turn } from './compose.ts';
import { OFFLINE_FAULTS, type OfflineFault } from './faults.ts';
import { GEOGRAPHY_NAMES } from './places.ts';
import { awsError } from './reply.ts';

/** What a rule answers: this, or a failure. */
export type ScriptAnswer = { readonly given: GivenAnswer } | { readonly fault: OfflineFault };

/** What a message has to be like; what is undefined may be anything. */
interface ScriptCondition {
  /** Lower-case. All of them are in the message. */
  readonly words: readonly string[] | undefined;
  /** The same in what a tool returned. */
  readonly toolResult: readonly string[] | undefined;
  /** A pattern with `*`, for the id with or without its geography. */
  readonly model: string | undefined;
  /** A tool that the request offers. */
  readonly tool: string | undefined;
}

/** A rule of a script. */
export interface ScriptRule {
  readonly when: ScriptCondition;
  /** How often it is used. */
  readonly times: number;
  readonly answer: ScriptAnswer;
}

const RULE_FIELDS = ['when', 'answer', 'times'];
const CONDITION_FIELDS = ['words', 'toolResult', 'model', 'tool'];
const ANSWER_FIELDS = ['text', 'json', 'toolCalls', 'usage', 'stopReason', 'error'];
const USAGE_FIELDS = ['inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheWriteTokens'];
const STOP_REASONS = ['end_turn', 'max_tokens', 'stop_sequence', 'tool_use'] as const;

/** Of AWS's errors of bedrock-runtime, the status of each (from the service's model). */
const ERROR_STATUSES: Readonly<Record<string, number>> = {
  AccessDeniedException: 403,
  ConflictException: 400,
  InternalServerException: 500,
  ModelErrorException: 424,
  ModelNotReadyException: 429,
  ModelStreamErrorException: 424,
  ModelTimeoutException: 408,
  ResourceNotFoundException: 404,
  ServiceQuotaExceededException: 400,
  ServiceUnavailableException: 503,
  ThrottlingException: 429,
  ValidationException: 400,
};

/** A script of any size would be parsed anew with each change; people write some kilobytes. */
export const MAX_SCRIPT_BYTES = 4_000_000;
const MAX_RULES = 10_000;
const MAX_TOKENS = 1_000_000_000;

/** State: how often each rule was used. */
export class Script {
  readonly #rules: readonly ScriptRule[];
  readonly #used = new Map<ScriptRule, number>();

  constructor(rules: readonly ScriptRule[]) {
    this.#rules = rules;
  }

  get ruleCount(): number {
    return this.#rules.length;
  }

  /** What the first rule says that is for this turn; undefined: none is. It counts as used. */
  findAnswer(turn: Turn): ScriptAnswer | undefined {
    return this.#use((rule) => isFor(rule, turn))?.answer;
  }

  /** The same of the rules that fail. */
  findFault(turn: Turn): OfflineFault | undefined {
    const answer = this.#use((rule) => 'fault' in rule.answer && isFor(rule, turn))?.answer;
    return answer !== undefined && 'fault' in answer ? answer.fault : undefined;
  }

  #use(isMeant: (rule: ScriptRule) => boolean): ScriptRule | undefined {
    const found = this.#rules.find((rule) => (this.#used.get(rule) ?? 0) < rule.times && isMeant(rule));
    if (found !== undefined) this.#used.set(found, (this.#used.get(found) ?? 0) + 1);
    return found;
  }
}

/** The text of a script. Throws ERR_BAD_OPTION, naming the place in it. */
export function parseScript(text: string): Script {
  const { rules } = membersOf(parseJson(text), 'the file', ['$schema', 'rules']);
  if (!Array.isArray(rules) || rules.length === 0) {
    throw wrong('rules', 'must be a list of one rule at least', 'Each is {"when": …, "answer": …}.');
  }
  if (rules.length > MAX_RULES) throw wrong('rules', `must be at most ${MAX_RULES}`);
  return new Script(rules.map((value: unknown, index) => parseRule(value, `rules[${index}]`)));
}

/**
 * A rule that calls tools is for what the user wrote, and not for what the tools returned, unless it says otherwise:
 * else it would call them for ever.
 */
function isFor({ when, answer }: ScriptRule, { modelId, userText, toolResults, tools }: Turn): boolean {
  const isReturned = toolResults.length > 0;
  const isCalling = 'given' in answer && answer.given.toolCalls.length > 0;
  if (isReturned && when.toolResult === undefined && (isCalling || when.words !== undefined)) return false;
  if (when.toolResult !== undefined && !(isReturned && hasAll(toolResults.join('\n'), when.toolResult))) return false;
  if (when.words !== undefined && !hasAll(userText, when.words)) return false;
  if (when.tool !== undefined && !tools.some(({ name }) => name === when.tool)) return false;
  return when.model === undefined || matchesGlob(when.model, modelId);
}

function hasAll(text: string, words: readonly string[]): boolean {
  const lower = text.toLowerCase();
  return words.every((word) => lower.includes(word));
}

function parseRule(value: unknown, where: string): ScriptRule {
  const { when = {}, answer, times } = membersOf(value, where, RULE_FIELDS);
  if (answer === undefined) throw wrong(`${where}.answer`, 'is missing');
  return {
    when: parseCondition(when, `${where}.when`),
    times: times === undefined ? Number.POSITIVE_INFINITY : parseCount(times, `${where}.times`, 1),
    answer: parseAnswer(answer, `${where}.answer`),
  };
}

function parseCondition(value: unknown, where: string): ScriptCondition {
  const { words, toolResult, model, tool } = membersOf(value, where, CONDITION_FIELDS);
  return {
    words: words === undefined ? undefined : parseWords(words, `${where}.words`),
    toolResult: toolResult === undefined ? undefined : parseWords(toolResult, `${where}.toolResult`),
    model: model === undefined ? undefined : withoutGeography(parseText(model, `${where}.model`)),
    tool: tool === undefined ? undefined : parseText(tool, `${where}.tool`),
  };
}

/** A model is known here without it. */
function withoutGeography(pattern: string): string {
  const geography = GEOGRAPHY_NAMES.find((name) => pattern.startsWith(`${name}.`));
  return geography === undefined ? pattern : pattern.slice(geography.length + 1);
}

function parseWords(value: unknown, where: string): readonly string[] {
  const words: readonly unknown[] = Array.isArray(value) ? value : [value];
  return words.map((word) => {
    if (typeof word === 'string') return word.toLowerCase();
    throw wrong(where, 'must be a text, or a list of texts that all have to be there');
  });
}

function parseAnswer(value: unknown, where: string): ScriptAnswer {
  const members = membersOf(value, where, ANSWER_FIELDS);
  const { text, json, toolCalls = [], usage = {}, stopReason, error } = members;
  if (error !== undefined) {
    const other = Object.keys(members).find((name) => name !== 'error');
    if (other !== undefined) throw wrong(`${where}.${other}`, 'cannot stand beside error');
    return { fault: parseError(error, `${where}.error`) };
  }
  if (text !== undefined && json !== undefined) throw wrong(`${where}.json`, 'cannot stand beside text');
  if (text === undefined && json === undefined && members['toolCalls'] === undefined) {
    throw wrong(where, 'must have text, json, toolCalls or error');
  }
  if (!Array.isArray(toolCalls))
    throw wrong(`${where}.toolCalls`, 'must be a list', 'Each is {"name": …, "input": {…}}.');
  const given = {
    text:
      json === undefined ? (text === undefined ? undefined : parseText(text, `${where}.text`)) : JSON.stringify(json),
    toolCalls: toolCalls.map((call: unknown, index) => parseToolCall(call, `${where}.toolCalls[${index}]`)),
    stopReason: stopReason === undefined ? undefined : parseStopReason(stopReason, `${where}.stopReason`),
    usage: parseUsage(usage, `${where}.usage`),
  };
  return { given };
}

function parseToolCall(value: unknown, where: string): GivenAnswer['toolCalls'][number] {
  const { name, input = {} } = membersOf(value, where, ['name', 'input']);
  if (!isObject(input)) throw wrong(`${where}.input`, 'must be an object');
  return { name: parseText(name, `${where}.name`), input };
}

function parseStopReason(value: unknown, where: string): ComposedResponse['stopReason'] {
  const found = STOP_REASONS.find((reason) => reason === value);
  if (found === undefined) throw wrong(where, `must be one of ${STOP_REASONS.join(', ')}`);
  return found;
}

function parseUsage(value: unknown, where: string): GivenUsage {
  const counts = Object.entries(membersOf(value, where, USAGE_FIELDS));
  return Object.fromEntries(counts.map(([name, count]) => [name, parseCount(count, `${where}.${name}`, 0)]));
}

/** A name of the table in faults.ts, or an error as AWS would write it. */
function parseError(value: unknown, where: string): OfflineFault {
  if (typeof value === 'string') {
    const fault = Object.hasOwn(OFFLINE_FAULTS, value) ? OFFLINE_FAULTS[value] : undefined;
    if (fault !== undefined) return fault;
    throw wrong(
      where,
      `must be one of the known failures, not ${quote(value, 60)}`,
      hintOf(value, Object.keys(OFFLINE_FAULTS)),
    );
  }
  const { type, message, status } = membersOf(value, where, ['type', 'message', 'status']);
  const name = parseText(type, `${where}.type`);
  if (!/^[A-Za-z][A-Za-z0-9]{0,99}$/.test(name)) throw wrong(`${where}.type`, 'must be the name of an exception');
  const usual = Object.hasOwn(ERROR_STATUSES, name) ? ERROR_STATUSES[name] : undefined;
  if (usual === undefined && status === undefined) {
    throw wrong(`${where}.status`, `must be given, because no error of Bedrock is called ${name}`);
  }
  const code = status === undefined ? (usual ?? 0) : parseCount(status, `${where}.status`, 400);
  if (code > 599) throw wrong(`${where}.status`, 'must be from 400 to 599');
  const reason = message === undefined ? 'The script says so.' : parseText(message, `${where}.message`);
  return () => awsError(code, name, reason);
}

function parseText(value: unknown, where: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw wrong(where, 'must be a text that is not empty');
}

function parseCount(value: unknown, where: string, least: number): number {
  if (Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= MAX_TOKENS) return Number(value);
  throw wrong(where, `must be a whole number from ${least}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw wrong('the file', `must be JSON (${error instanceof Error ? error.message : 'unreadable'})`);
  }
}

function membersOf(value: unknown, where: string, allowed: readonly string[]): JsonObject {
  if (!isObject(value)) throw wrong(where, 'must be an object');
  const unknown = Object.keys(value).find((name) => !allowed.includes(name));
  if (unknown === undefined) return value;
  const name = printable(unknown, 60);
  throw wrong(where === 'the file' ? name : `${where}.${name}`, 'is not known here', hintOf(unknown, allowed));
}

function hintOf(name: string, known: readonly string[]): string {
  const nearest = findNearest(name, known);
  return `${nearest === undefined ? '' : `Did you mean ${nearest}? `}Known are ${known.join(', ')}.`;
}

function wrong(where: string, what: string, hint?: string): ProxyError {
  return new ProxyError('ERR_BAD_OPTION', `In the file of --script, ${where} ${what}.`, { hint });
}
