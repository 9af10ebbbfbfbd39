/**
 * The places in a JSON document whose values are to be reported, made of paths like `usage.inputTokens`. Pure; the
 * scanner (json-scan.ts) walks them while a text passes.
 */

/** A place in a document, and what is looked for below it. */
export interface JsonPlace {
  /** Under these names the values of this place are reported. */
  readonly reports: readonly string[];
  readonly members: ReadonlyMap<string, JsonPlace>;
  /** The names of `members` as `isCaseVariant` compares them, by their lengths. */
  readonly foldedNames: ReadonlyMap<number, readonly string[]>;
  /** How the names of `members` begin and end: see `mayBeMember`. */
  readonly memberEnds: ReadonlySet<number>;
  /** Members that `members` does not name. */
  readonly anyMember: JsonPlace | undefined;
  readonly element: JsonPlace | undefined;
}

/** Whether a parser that ignores case takes a name, which `place.members` does not have, for one of those. */
export function isCaseVariant(name: string, { foldedNames }: JsonPlace): boolean {
  return foldedNames.get(name.length)?.includes(foldName(name)) === true;
}

/**
 * As those read it who ignore case, letter by letter, by any of their rules: Go takes `ſ` for `s` and the Kelvin sign
 * for `k`, Java `ı` and `İ` for `i`.
 */
function foldName(name: string): string {
  return name.toUpperCase().toLowerCase().replaceAll('\u0307', '');
}

/** Paths that have been read; to be made once if many texts are scanned for the same. */
export class JsonPaths {
  readonly root: JsonPlace;

  /**
   * Member names joined by dots: `usage.inputTokens`; `[]` after a name is every element of its array: `a.b[].c`,
   * `images[]`; `*` is any member. A name with a dot, and the names `*` and `[]` themselves, cannot be written.
   */
  constructor(paths: readonly string[]) {
    this.root = makePlace(paths.map((path) => ({ path, rest: path === '' ? [] : readPath(path) })));
  }
}

interface OpenPath {
  readonly path: string;
  readonly rest: readonly string[];
}

function readPath(path: string): string[] {
  return path.replaceAll('[]', '.[]').replace(/^\./, '').split('.');
}

function makePlace(open: readonly OpenPath[]): JsonPlace {
  const reports = open.filter(({ rest }) => rest.length === 0).map(({ path }) => path);
  const after = (...steps: string[]): OpenPath[] =>
    open.flatMap(({ path, rest }) => {
      const [step, ...left] = rest;
      return step !== undefined && steps.includes(step) ? [{ path, rest: left }] : [];
    });
  const placeAfter = (...steps: string[]): JsonPlace | undefined => {
    const left = after(...steps);
    return left.length === 0 ? undefined : makePlace(left);
  };
  const names = new Set(open.flatMap(({ rest }) => rest.slice(0, 1)).filter((step) => step !== '*' && step !== '[]'));
  const members = new Map([...names].map((name) => [name, makePlace(after(name, '*'))]));
  const foldedNames = Map.groupBy([...names].map(foldName), ({ length }) => length);
  const memberEnds = new Set([...names].map((name) => Buffer.from(name)).map((name) => nameEnds(name[0], name.at(-1))));
  return { reports, members, foldedNames, memberEnds, anyMember: placeAfter('*'), element: placeAfter('[]') };
}

/** Whether a name that begins and ends so can be one of `place.members`, or a case variant of one. */
export function mayBeMember({ memberEnds }: JsonPlace, firstByte = 0, lastByte = 0): boolean {
  return firstByte > 0x7f || lastByte > 0x7f || memberEnds.has(nameEnds(firstByte, lastByte));
}

/** The bit that tells capitals from small letters is left out. */
function nameEnds(firstByte = 0, lastByte = 0): number {
  return (firstByte & 0xdf) * 0x100 + (lastByte & 0xdf);
}
