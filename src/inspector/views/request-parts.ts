/**
 * The parts of a request that are compared and found one by one: instructions, each tool, each message, and every other
 * member of the body, with their bytes. Pure.
 */
import { toPointer } from '../../cassette/places.ts';
import { asText, isObject, type JsonObject } from '../../lib/json.ts';
import { findMember, type JsonNode, readJsonTree } from '../../protocol/json-tree.ts';
import type { Exchange } from '../exchange.ts';
import { readRequestJson } from './plain-body.ts';

/** A part of a body. `start`: of its bytes, in the body. */
export interface RequestPart {
  readonly kind: 'system' | 'tool' | 'message' | 'member';
  /** `system`, `tool read_file`, `message 3`, or the name of the member. No two have the same. */
  readonly name: string;
  /** RFC 6901. */
  readonly pointer: string;
  readonly json: unknown;
  readonly start: number;
  readonly bytes: Buffer;
}

/** Where lists of tools and messages stand, in any of the forms. */
const LISTS: readonly (readonly [kind: 'tool' | 'message', path: readonly string[]])[] = [
  ['tool', ['toolConfig', 'tools']],
  ['tool', ['tools']],
  ['message', ['messages']],
  ['message', ['input']],
];
/** A tool of Converse is an element of a list in a member of a member. */
const PART_DEPTH = 4;
const SYSTEM: ReadonlySet<string> = new Set(['system', 'instructions']);

/** The parts of an exchange's request, in no particular order; or why there are none. */
export function listRequestParts(
  exchange: Exchange,
): { readonly parts: readonly RequestPart[] } | { readonly problem: string } {
  const request = readRequestJson(exchange);
  if (!('json' in request)) return { problem: request.problem ?? 'The request has no body.' };
  const { json, bytes } = request;
  const root = readJsonTree(bytes, PART_DEPTH)?.root;
  if (root === undefined) return { problem: 'The request has too many values to be compared.' };
  const add = (kind: RequestPart['kind'], name: string, path: readonly (string | number)[]): RequestPart[] => {
    const node = findNode(root, path);
    if (node === undefined) return [];
    const pointer = toPointer(path.map(String));
    return [
      { kind, name, pointer, json: findValue(json, path), start: node.from, bytes: bytes.subarray(node.from, node.to) },
    ];
  };
  const parts = Object.entries(json).flatMap(([name, value]) => {
    if (SYSTEM.has(name)) return add('system', 'system', [name]);
    if (name === 'toolConfig' && isObject(value)) {
      const rest = Object.keys(value).filter((member) => member !== 'tools' || !Array.isArray(value['tools']));
      return rest.flatMap((member) => add('member', `toolConfig ${member}`, [name, member]));
    }
    return LISTS.some(([, path]) => path.length === 1 && path[0] === name && Array.isArray(value))
      ? []
      : add('member', name, [name]);
  });
  const lists = LISTS.flatMap(([kind, path]) => {
    const list = findValue(json, path);
    if (!Array.isArray(list)) return [];
    const names = nameElements(kind, list);
    return names.flatMap((name, index) => add(kind, name, [...path, index]));
  });
  return { parts: [...parts, ...lists] };
}

function findNode(root: JsonNode, path: readonly (string | number)[]): JsonNode | undefined {
  return path.reduce<JsonNode | undefined>(
    (within, step) => (typeof step === 'number' ? within?.items[step] : findMember(within, step)),
    root,
  );
}

function findValue(json: JsonObject, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((within, step) => {
    if (Array.isArray(within)) return within[Number(step)];
    return isObject(within) && Object.hasOwn(within, step) ? within[String(step)] : undefined;
  }, json);
}

/** Messages by their number from 1 on, tools by their name; the second one of a name says so. */
function nameElements(kind: 'tool' | 'message', list: readonly unknown[]): string[] {
  if (kind === 'message') return list.map((_, index) => `message ${index + 1}`);
  const seen = new Map<string, number>();
  return list.map((tool) => {
    const name = `tool ${findToolName(tool)}`;
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name} (${count})`;
  });
}

/** The name of a tool in any form; of a cache point among them, that. */
function findToolName(tool: unknown): string {
  if (!isObject(tool)) return '';
  const inner = [tool['toolSpec'], tool['function'], tool['systemTool'], tool].find(isObject) ?? tool;
  return asText(inner['name']) || asText(tool['type']) || (Object.keys(tool)[0] ?? '');
}
