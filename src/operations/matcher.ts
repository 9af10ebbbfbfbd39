/**
 * Finds which operations a method and a raw path can mean: a tree over path segments, built once from the catalog.
 * Pure. The path is never decoded.
 */
import { type Operation, OPERATIONS, type ServiceId } from './catalog.ts';

interface TreeNode {
  readonly literals: Map<string, TreeNode>;
  label: TreeNode | undefined;
  /** Operations that end here, by method, with `/` appended if the template ends in a slash. */
  readonly ends: Map<string, Operation[]>;
  /** Operations whose `{rest+}` starts here, by method or `*`. */
  readonly rests: Map<string, Operation[]>;
}

interface Search {
  readonly path: string;
  readonly method: string;
  /** Only operations of this service count, if given. */
  readonly service: ServiceId | undefined;
}

/**
 * The operations that fit best, all equally well: several only if services share a method and a template. Empty if none
 * fits. A literal segment beats a label, then the exact trailing slash beats the other form, and `{rest+}` comes last.
 * `path` starts with a slash and has no query. Matching is case-sensitive, and a label is exactly one non-empty
 * segment.
 */
export function matchOperations(method: string, path: string, service?: ServiceId): readonly Operation[] {
  return search(ROOT, 1, { method, path, service }) ?? [];
}

/** The methods under which the table knows a path. For error messages: asks for each in turn. */
export function matchOtherMethods(path: string): readonly Operation[] {
  return ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].flatMap((method) => matchOperations(method, path));
}

const ROOT = buildTree(OPERATIONS);

function emptyNode(): TreeNode {
  return { literals: new Map(), label: undefined, ends: new Map(), rests: new Map() };
}

function buildTree(operations: readonly Operation[]): TreeNode {
  const root = emptyNode();
  for (const operation of operations) {
    // awsJson operations are all `POST /`: X-Amz-Target names them, not the path.
    if (operation.service.targetPrefix === undefined) plant(root, operation);
  }
  return root;
}

function plant(root: TreeNode, operation: Operation): void {
  const segments = operation.template.split('/').slice(1);
  const slash = segments.at(-1) === '' ? '/' : '';
  if (slash) segments.pop();
  let node = root;
  for (const segment of segments) {
    if (segment.endsWith('+}')) {
      append(node.rests, operation.method, operation);
      return;
    }
    node = segment.startsWith('{') ? (node.label ??= emptyNode()) : childOf(node, segment);
  }
  append(node.ends, operation.method + slash, operation);
}

function childOf(node: TreeNode, segment: string): TreeNode {
  let child = node.literals.get(segment);
  if (child === undefined) {
    child = emptyNode();
    node.literals.set(segment, child);
  }
  return child;
}

function append(map: Map<string, Operation[]>, key: string, operation: Operation): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [operation]);
  else list.push(operation);
}

/**
 * `start` is where the next segment begins: at the path's end after a trailing slash, one past it if there is none.
 * Goes back at most once per level of the tree, so its cost is bounded by the table and not by the path.
 */
function search(node: TreeNode, start: number, query: Search): readonly Operation[] | undefined {
  const { path, method } = query;
  if (start >= path.length) {
    const slashed = start === path.length;
    return (
      keep(node.ends.get(slashed ? `${method}/` : method), query) ??
      keep(node.ends.get(slashed ? method : `${method}/`), query)
    );
  }
  const slashAt = path.indexOf('/', start);
  const end = slashAt === -1 ? path.length : slashAt;
  if (end > start) {
    const literal = node.literals.size > 0 ? node.literals.get(path.slice(start, end)) : undefined;
    const found = literal && search(literal, end + 1, query);
    if (found !== undefined) return found;
    const labelled = node.label && search(node.label, end + 1, query);
    if (labelled !== undefined) return labelled;
  }
  return keep(node.rests.get(method), query) ?? keep(node.rests.get('*'), query);
}

function keep(operations: readonly Operation[] | undefined, { service }: Search): readonly Operation[] | undefined {
  if (operations === undefined || service === undefined) return operations;
  const own = operations.filter((operation) => operation.service.id === service);
  return own.length > 0 ? own : undefined;
}
