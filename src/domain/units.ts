/**
 * What Bedrock sells by the piece, neither by the token nor by the unit of a guardrail: the names under which usage
 * counts it, prices have it, and the ledger keeps it.
 */

/** Each name with what one of it is. */
export const PIECE_UNITS = {
  videoSeconds: 'a second of video that was made',
  inputVideoSeconds: 'a second of video that was read',
  inputAudioSeconds: 'a second of sound that was read',
  inputImages: 'a picture that was read',
  searchQueries: 'a query of a reranking, for each 100 documents begun',
  webSearches: 'a search of the web by the model',
} as const;

/** A name of something that is sold by the piece. */
export type PieceUnit = keyof typeof PIECE_UNITS;

/** What a request asks for that is sold by the piece. */
export interface RequestedUnits {
  readonly counts: Readonly<Partial<Record<PieceUnit, number>>>;
  /** It asks for something besides, and does not say how much. */
  readonly hasUnknown: boolean;
  /** The counts are rather too high, and may be right. */
  readonly isEstimated?: boolean;
}
