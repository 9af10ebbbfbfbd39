/**
 * The recordings of a cassette as they are given out: those of one request in their order, whatever other requests come
 * in between. Holds which were played; reads and writes nothing.
 */
import { ProxyError } from '../lib/errors.ts';
import { quote } from '../lib/printable.ts';
import { compareRequests } from './differences.ts';
import { type CanonicalRequest, canonicalize, canonicalizeRecorded, keyOf, modelOf, type ReadBlob } from './match.ts';
import type { Miss, NearRecording } from './miss.ts';
import type { MatchableRequest, NamedRecording, Recording } from './recording.ts';
import type { CassetteRules } from './rules.ts';
import { suggestRules } from './suggest.ts';

/** What a request gets: its recording, or why it has none. */
export type Taken = { readonly name: string; readonly recording: Recording } | { readonly miss: Miss };

/** Gives out recordings. */
export interface Deck {
  /**
   * `scope`: the sub-directory that is looked into, and no other; none: the cassette itself. May throw
   * ERR_CASSETTE_MISS, for a pattern that takes too long.
   */
  take(request: MatchableRequest, scope?: string): Taken;
  /** One that was just recorded, and is played as far as this run goes. */
  add(added: NamedRecording): void;
  /** The names of recordings that were never played, in their order. */
  unused(): string[];
}

interface Card extends NamedRecording {
  readonly scope: string;
  readonly key: string;
  plays: number;
}

const NEAREST = 3;
/** Recordings that a request without one is compared with, those of its operation first. */
const MAX_COMPARED = 200;

/** Makes it. Throws ERR_CASSETTE_MISS if a pattern of the rules takes too long. */
export function createDeck(recordings: readonly NamedRecording[], rules: CassetteRules, readBlob?: ReadBlob): Deck {
  const toCard = ({ name, recording }: NamedRecording, plays: number): Card => {
    const key = keyOf(canonicalizeRecorded(recording.request, rules, readBlob));
    return { name, recording, scope: scopeOf(name), key, plays };
  };
  const cards = recordings.map((named) => toCard(named, 0));
  const piles = Map.groupBy(cards, ({ scope, key }) => `${scope} ${key}`);
  const turns = new Map<string, number>();
  return {
    take(request, scope = '') {
      const canonical = canonicalize(request, rules);
      const key = keyOf(canonical);
      const place = `${scope} ${key}`;
      const pile = piles.get(place) ?? [];
      const turn = turns.get(place) ?? 0;
      const card = pick(pile, turn, rules.repeat);
      if (card === undefined) {
        const explain = (): Miss => {
          const nearest = findNearest({ request, canonical, scope }, cards, rules, readBlob);
          const elsewhere = cards.find((other) => other.key === key && other.scope !== scope)?.scope;
          const { operation, path } = request;
          return { operation, path, model: modelOf(canonical), scope, key, usedUp: pile.length, nearest, elsewhere };
        };
        let miss: Miss | undefined;
        return {
          // To compare it with all recordings takes its time, and who records does not ask.
          get miss() {
            return (miss ??= explain());
          },
        };
      }
      turns.set(place, turn + 1);
      card.plays += 1;
      return { name: card.name, recording: card.recording };
    },
    add(added) {
      const card = toCard(added, 1);
      const place = `${card.scope} ${card.key}`;
      cards.push(card);
      piles.set(place, [...(piles.get(place) ?? []), card]);
      turns.set(place, (turns.get(place) ?? 0) + 1);
    },
    unused: () => cards.filter(({ plays }) => plays === 0).map(({ name }) => name),
  };
}

function pick(pile: readonly Card[], turn: number, repeat: CassetteRules['repeat']): Card | undefined {
  if (turn < pile.length || repeat === 'never') return pile[turn];
  return repeat === 'last' ? pile.at(-1) : pile[turn % pile.length];
}

function scopeOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')));
}

interface Sought {
  readonly request: MatchableRequest;
  readonly canonical: CanonicalRequest;
  readonly scope: string;
}

/** Those of the same operation and model first, then those of which the largest share is equal. */
function findNearest(
  { request, canonical, scope }: Sought,
  cards: readonly Card[],
  rules: CassetteRules,
  readBlob: ReadBlob | undefined,
): readonly NearRecording[] {
  const model = modelOf(canonical);
  const inScope = cards.filter((card) => card.scope === scope);
  const ofOperation = inScope.filter(({ recording }) => recording.request.operation === request.operation);
  const compared = (ofOperation.length > 0 ? ofOperation : inScope).slice(0, MAX_COMPARED).map((card) => {
    const recorded = canonicalizeRecorded(card.recording.request, rules, readBlob);
    return { card, hasModel: modelOf(recorded) === model, ...compareRequests(canonical, recorded) };
  });
  const sorted = compared.toSorted(
    (one, other) => Number(other.hasModel) - Number(one.hasModel) || other.share - one.share,
  );
  return sorted.slice(0, NEAREST).map(({ card, share, differences }) => {
    const recorded = (other: CassetteRules): CanonicalRequest =>
      canonicalizeRecorded(card.recording.request, other, readBlob);
    const suggestion =
      differences.length === 0 ? undefined : suggestRules((other) => canonicalize(request, other), recorded, rules);
    return { file: `${card.name}.json`, share, plays: card.plays, differences, suggestion };
  });
}

const SCOPE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:\/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,3}$/;

/** Reads `x-bedrock-proxy-cassette`: the name of a sub-directory, which leads nowhere else. Throws ERR_BAD_REQUEST. */
export function parseCassetteScope(header: string): string {
  if (SCOPE.test(header) && !header.includes('..')) return header;
  throw new ProxyError('ERR_BAD_REQUEST', `x-bedrock-proxy-cassette names no sub-directory: ${quote(header)}.`, {
    hint: 'It may have letters, digits, `.`, `_` and `-`, and `/` between names.',
  });
}
