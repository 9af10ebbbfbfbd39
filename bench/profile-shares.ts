/**
 * Where the time of a V8 processor profile went: by folder of `src/`, by package, by part of Node, and by function.
 * Pure.
 */

/** The part of a `.cpuprofile` that counts here (Chrome DevTools Protocol, `Profiler.Profile`). */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds: of each sample since the one before. */
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

/** Times in microseconds, of the whole profile; idle time is left out. */
export interface Shares {
  readonly busyMicros: number;
  /** Most time first. */
  readonly groups: readonly GroupShare[];
  readonly functions: readonly FunctionShare[];
}

/** `own`: while it was on top of the stack. `owned`: the same, and all that it called outside of `src/`. */
export interface GroupShare {
  readonly name: string;
  readonly ownMicros: number;
  readonly ownedMicros: number;
}

/** One function and its place. */
export interface FunctionShare {
  readonly name: string;
  readonly ownMicros: number;
}

/** `root`: the URL of the folder that holds `src/`. */
export function readShares(profile: CpuProfile, root: string): Shares {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const describe = memoize((id: number) => describeNode(id, { nodes, parents, root }));
  const own = new Map<string, number>();
  const owned = new Map<string, number>();
  const functions = new Map<string, number>();
  let busyMicros = 0;
  for (const [index, id] of profile.samples.entries()) {
    const micros = profile.timeDeltas[index + 1] ?? 0;
    const { group, owner, label } = describe(id);
    if (group === 'idle') continue;
    busyMicros += micros;
    add(own, group, micros);
    add(owned, owner, micros);
    add(functions, label, micros);
  }
  const groups = [...new Set([...own.keys(), ...owned.keys()])]
    .map((name) => ({ name, ownMicros: own.get(name) ?? 0, ownedMicros: owned.get(name) ?? 0 }))
    .toSorted((left, right) => right.ownedMicros - left.ownedMicros || right.ownMicros - left.ownMicros);
  return {
    busyMicros,
    groups,
    functions: [...functions]
      .map(([name, ownMicros]) => ({ name, ownMicros }))
      .toSorted((left, right) => right.ownMicros - left.ownMicros),
  };
}

function add(sums: Map<string, number>, name: string, micros: number): void {
  sums.set(name, (sums.get(name) ?? 0) + micros);
}

function memoize<T>(find: (id: number) => T): (id: number) => T {
  const found = new Map<number, T>();
  return (id) => {
    const known = found.get(id);
    if (known !== undefined) return known;
    const value = find(id);
    found.set(id, value);
    return value;
  };
}

interface Tree {
  readonly nodes: ReadonlyMap<number, ProfileNode>;
  readonly parents: ReadonlyMap<number, number>;
  readonly root: string;
}

interface Description {
  readonly group: string;
  /** The folder of `src/` that called it, if there is one; otherwise the group. */
  readonly owner: string;
  readonly label: string;
}

function describeNode(id: number, { nodes, parents, root }: Tree): Description {
  const node = nodes.get(id);
  if (node === undefined) return { group: 'unknown', owner: 'unknown', label: 'unknown' };
  const callers: ProfileNode[] = [];
  for (let next = parents.get(id); next !== undefined; next = parents.get(next)) {
    const caller = nodes.get(next);
    if (caller !== undefined) callers.push(caller);
  }
  const group = groupOf(node, root);
  const owner = [node, ...callers].map((frame) => groupOf(frame, root)).find((name) => name.startsWith('src'));
  const { functionName, url } = node.callFrame;
  const label = url === '' && !functionName.startsWith('(') ? labelNative(node, callers, root) : labelOf(node, root);
  return { group, owner: owner ?? group, label };
}

function groupOf({ callFrame: { functionName, url } }: ProfileNode, root: string): string {
  if (functionName === '(idle)') return 'idle';
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (url === '') return 'native';
  if (url.startsWith('node:internal/')) return url.split('/').slice(0, 2).join('/');
  if (url.startsWith('node:')) return url;
  const [, name] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? [];
  if (name !== undefined) return `node_modules/${name}`;
  const path = url.startsWith(root) ? url.slice(root.length) : url;
  return path.replace(/^dist\//, 'src/').replace(/\/[^/]*$/, '');
}

function labelOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode, root: string): string {
  if (url === '') return functionName;
  const place = url.startsWith(root) ? url.slice(root.length) : url.replace(/.*\/node_modules\//, '');
  return `${functionName || '(anonymous)'} ${place}:${lineNumber + 1}`;
}

/** A native function says little without its caller. */
function labelNative(node: ProfileNode, callers: readonly ProfileNode[], root: string): string {
  const caller = callers.find(({ callFrame }) => callFrame.url !== '');
  return `${node.callFrame.functionName || '(native)'}, native${caller ? `, called by ${labelOf(caller, root)}` : ''}`;
}
