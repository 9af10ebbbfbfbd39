/**
 * Which of several prices of an image or a video holds for the kind that a request asks for. Pure.
 */
import type { MediaVariant } from './cost.ts';
import type { MediaLimits } from './price-fact.ts';

/** What a request gets that does not say: AWS's own defaults. */
const DEFAULT_QUALITY = 'standard';
const DEFAULT_SIDE = 1024;
const DEFAULT_STEPS = 30;

interface Priced {
  readonly limits?: MediaLimits | undefined;
  readonly picoUsd: number;
}

/**
 * The one whose limits fit most tightly. If none fits, because nobody tells what such an image costs, the most
 * expensive one; undefined of none at all.
 */
export function chooseVariant<T>(
  items: readonly T[],
  variant: MediaVariant | undefined,
  pricedOf: (item: T) => Priced,
): T | undefined {
  if (items.length < 2) return items[0];
  const quality = variant?.quality ?? DEFAULT_QUALITY;
  const side = Math.max(variant?.width ?? 0, variant?.height ?? 0) || DEFAULT_SIDE;
  const steps = variant?.steps ?? DEFAULT_STEPS;
  const fitting = items.filter((item) => {
    const limits = pricedOf(item).limits ?? {};
    const { maxSide = Infinity, maxSteps = Infinity } = limits;
    return (limits.quality ?? quality) === quality && side <= maxSide && steps <= maxSteps;
  });
  const tightness = (item: T): readonly number[] => {
    const { quality: ofOne, maxSide, maxSteps } = pricedOf(item).limits ?? {};
    return [ofOne === undefined ? 1 : 0, maxSide ?? Infinity, maxSteps ?? Infinity];
  };
  return (
    fitting.toSorted((a, b) => compareNumbers(tightness(a), tightness(b)))[0] ??
    items.toSorted((a, b) => pricedOf(b).picoUsd - pricedOf(a).picoUsd)[0]
  );
}

function compareNumbers(a: readonly number[], b: readonly number[]): number {
  const position = a.findIndex((number, index) => number !== b[index]);
  return position === -1 ? 0 : (a[position] ?? 0) < (b[position] ?? 0) ? -1 : 1;
}
