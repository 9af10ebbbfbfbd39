/**
 * What a client says of whom its request is for: a session, an agent, tags. It goes into the ledger, for counting only:
 * it is the client's word, so nothing is decided by it, and no metric has a label of it. Pure; never throws.
 */
import { hideKeys } from '../domain/outcome.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import type { HeaderPair } from '../http/message.ts';
import { parseTraceparent } from '../http/traceparent.ts';
import { TAG_NAME } from '../keys/policy.ts';
import { isPrintable, printable } from '../lib/printable.ts';

/**
 * Headers that name a session; the first of this list that is there counts. Ours, LiteLLM's, those of Claude Code,
 * OpenCode, Codex and others, that of AgentCore's runtimes. After them comes `x-…-session-id` of any other program, and
 * at last the trace of `traceparent`.
 */
const SESSION_HEADERS: readonly string[] = [
  'x-bedrock-proxy-session',
  'x-litellm-session-id',
  'x-litellm-trace-id',
  'x-claude-code-session-id',
  'x-opencode-session',
  'session_id',
  'session-id',
  'x-session-id',
  'x-session-affinity',
  'x-amzn-bedrock-agentcore-runtime-session-id',
];
const ANY_SESSION_HEADER = /^x-.+-session-id$/;
const AGENT_HEADERS: readonly string[] = ['x-bedrock-proxy-agent', 'x-claude-code-agent-id'];
const NAMING_HEADERS: ReadonlySet<string> = new Set([...SESSION_HEADERS, ...AGENT_HEADERS]);
/** Lists with commas: `name=value`, or a name alone, as LiteLLM's tags are. */
const TAG_HEADERS: ReadonlySet<string> = new Set(['x-bedrock-proxy-tags', 'x-litellm-tags']);
/** LiteLLM's names of the customer for whom a request is made. */
const END_USER_HEADERS: ReadonlySet<string> = new Set(['x-litellm-end-user-id', 'x-litellm-customer-id']);
const END_USER_TAG = 'end_user';
/** Reports of the admin API go by these: a key has them from its owner, or not at all. */
const RESERVED_TAGS: ReadonlySet<string> = new Set(['user_id', 'team_id']);

/** Characters that the ledger keeps of a session, an agent, and the value of a tag. */
const MAX_LENGTH = 128;
const MAX_TAGS = 10;
/** No more is read of a header. Far more than is kept: a key is hidden only if most of it is seen. */
const MAX_READ_LENGTH = 4_096;

/** Notes in the record what the headers say. */
export function attributeRequest(record: RequestRecord, headers: readonly HeaderPair[]): void {
  const named = new Map<string, string>();
  const tags = new Map<string, string>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (NAMING_HEADERS.has(lower) || ANY_SESSION_HEADER.test(lower)) addName(named, lower, value);
    else if (TAG_HEADERS.has(lower)) addTags(tags, value);
    else if (END_USER_HEADERS.has(lower)) addTag(tags, END_USER_TAG, value);
  }
  record.session = findSession(named) ?? parseTraceparent(record.traceparent)?.traceId;
  record.agent = findFirst(named, AGENT_HEADERS);
  if (tags.size > 0) record.requestTags = Object.fromEntries(tags);
}

function findSession(named: ReadonlyMap<string, string>): string | undefined {
  return findFirst(named, SESSION_HEADERS) ?? findFirst(named, [...named.keys()].filter(isAnySession));
}

function isAnySession(name: string): boolean {
  return ANY_SESSION_HEADER.test(name);
}

function findFirst(named: ReadonlyMap<string, string>, names: readonly string[]): string | undefined {
  const name = names.find((one) => named.has(one));
  return name === undefined ? undefined : named.get(name);
}

function addName(named: Map<string, string>, name: string, value: string): void {
  const text = printable(clean(value), MAX_LENGTH);
  if (text !== '' && !named.has(name)) named.set(name, text);
}

function addTags(tags: Map<string, string>, list: string): void {
  for (const tag of list.slice(0, MAX_READ_LENGTH).split(',')) {
    const [, name = '', value = ''] = /^([^=]*)=?(.*)$/su.exec(tag) ?? [];
    addTag(tags, name.trim(), value);
  }
}

/** A tag that would not fit is left out: cut, it would be another one. */
function addTag(tags: Map<string, string>, name: string, value: string): void {
  const text = clean(value);
  if (tags.size >= MAX_TAGS || tags.has(name) || RESERVED_TAGS.has(name)) return;
  if (!TAG_NAME.test(clean(name)) || text.length > MAX_LENGTH || !isPrintable(text)) return;
  tags.set(name, text);
}

function clean(value: string): string {
  return hideKeys(value.slice(0, MAX_READ_LENGTH)).trim();
}
