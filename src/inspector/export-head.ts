/** What an export says about itself. Types only. */

/** Whichever its format is. */
export interface ExportHead {
  /** Of bedrock-proxy. */
  readonly version: string;
  readonly exportedAtMs: number;
  /** Whether texts were taken out. */
  readonly isSanitized: boolean;
  /** Exchanges whose content was not kept for want of room, by reason. */
  readonly dropped: { readonly [why: string]: number };
}
