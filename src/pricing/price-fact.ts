/**
 * What one source says of one price: the rows of which the snapshot (`prices/`), AWS's offers and every other source
 * are made, all by the same key. Types alone; which fact counts for a request is `price-book.ts`'s decision.
 */
import type { PieceUnit } from '../domain/units.ts';
import type { PicoUsd, Tier } from './cost.ts';

/** Who told a price: AWS (its price list or its pages), or somebody who copies AWS's prices. */
export type PriceTeller = 'aws' | 'litellm' | 'genai-prices';

/**
 * How a model is reached: by its own id in the region that is called, by the profile of a geography (`eu.`), or by a
 * `global.` profile.
 */
export type PriceScope = 'region' | 'geo' | 'global';

/** What is sold by the token, by the names of `ModelPrice`. */
export type TokenUnit = 'input' | 'output' | 'cacheRead' | 'cacheWrite' | 'cacheWrite1h' | 'inputAudio' | 'outputAudio';

/**
 * What the price is of one of: a token, an image made, a piece, a request, or a unit of guardrails by AWS's name
 * (`contentPolicyUnits`).
 */
export type FactUnit = TokenUnit | 'image' | PieceUnit | 'request' | GuardrailUnit;

/** A unit of guardrails by AWS's name: `contentPolicyUnits`, `contentFilter.textUnits`. */
export type GuardrailUnit = `${string}Units`;

/** What a fact of unit `image` or `videoSeconds` holds for; what is undefined does not matter to the price. */
export interface MediaLimits {
  /** In the model's word, lower case: `standard`, `premium`; of videos `standard` or `hd`. */
  readonly quality?: string | undefined;
  /** Pixels: neither width nor height is larger. */
  readonly maxSide?: number | undefined;
  /** Of diffusion. */
  readonly maxSteps?: number | undefined;
}

/** One price. Of those with the same key (all but `picoUsd`, `source`, `asOf`), each source has one. */
export interface PriceFact {
  /** Id without geography. `GUARDRAILS` for units of guardrails. */
  readonly model: string;
  /**
   * The region that is called (`eu-west-2`; of a profile, the one it is called in), a geography (`eu`; of scope `geo`
   * alone), or `*`: every commercial region, never GovCloud. The more exact counts before the less exact.
   */
  readonly place: string;
  readonly scope: PriceScope;
  readonly tier: Tier;
  /** The price holds if the whole input, caches included, has more tokens. 0: from the first on. */
  readonly aboveTokens: number;
  readonly unit: FactUnit;
  /** Of images and videos alone. */
  readonly limits?: MediaLimits | undefined;
  readonly picoUsd: PicoUsd;
  /** The day from which it holds, in UTC, `2026-08-21`; undefined: always. A later one of the same key takes over. */
  readonly from?: string | undefined;
  readonly source: PriceTeller;
  /** The day on which the source was read or published, `2026-11-28`. */
  readonly asOf: string;
}

/** The model of facts about units of guardrails, which cost alike whatever model they guard. */
export const GUARDRAILS = 'guardrails';

/** What a model reads and writes at most. Tokens; undefined: nobody knows. */
export interface ModelWindow {
  readonly contextTokens?: number | undefined;
  readonly maxOutputTokens?: number | undefined;
}

/** Where facts come from. */
export interface FactSource {
  readonly teller: PriceTeller;
  /** In words, with the version of what was read. */
  readonly title: string;
  /** `2026-11-28`. */
  readonly asOf: string;
}

/** The facts of several sources. */
export interface PriceFacts {
  readonly sources: readonly FactSource[];
  /** Every model id of which there is a fact, without geographies, ascending. */
  readonly models: readonly string[];
  /**
   * The facts of the model that a name means, in the order of the sources. A geography before the name does not matter.
   * A source that does not know the name itself has it found as `indexModels` does, by version and date: no facts if
   * there are none, or if several models could be meant. Throws never.
   */
  find(name: string): readonly PriceFact[];
  /** Of the first source that knows. */
  findWindow(name: string): ModelWindow;
}
