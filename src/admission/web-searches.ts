/**
 * How many searches of the web a request lets its model make, which are sold by the piece besides the tokens. Pure.
 */
import type { JsonScalar } from '../protocol/json-scan.ts';

/** What a tool counts for that does not say how often it may be used: hardly any response comes near it. */
const SEARCHES_WITHOUT_LIMIT = 10;

/** Claude's and OpenAI's tools, in the body or within Converse's. */
const TOOLS = ['tools[]', 'additionalModelRequestFields.tools[]'];
const TYPES: ReadonlySet<string> = new Set(TOOLS.map((tool) => `${tool}.type`));
const LIMITS: ReadonlySet<string> = new Set(TOOLS.map((tool) => `${tool}.max_uses`));
/** Nova's. */
const SYSTEM_TOOL = 'toolConfig.tools[].systemTool.name';
const SEARCH = /^(?:web_search|nova_grounding)/;

/** Where to look, as `JsonPaths` reads it. */
export const WEB_SEARCH_PATHS: readonly string[] = [...TOOLS, ...TYPES, ...LIMITS, SYSTEM_TOOL];

/** State: the searches of the tools so far, and the tool that is being read. */
export class WebSearches {
  #count = 0;
  #isSearch = false;
  /** A tool that names it twice has the larger one. */
  #limit: number | undefined;

  /** An object or a list begins at one of WEB_SEARCH_PATHS. */
  open(path: string): void {
    if (TOOLS.includes(path)) this.#endTool();
  }

  /** A value stands at one of WEB_SEARCH_PATHS. */
  take(path: string, value: JsonScalar): void {
    if (TYPES.has(path)) this.#isSearch ||= typeof value === 'string' && SEARCH.test(value);
    else if (path === SYSTEM_TOOL && typeof value === 'string' && SEARCH.test(value)) {
      this.#count += SEARCHES_WITHOUT_LIMIT;
    } else if (LIMITS.has(path) && typeof value === 'number' && value >= 0) {
      this.#limit = Math.max(this.#limit ?? 0, Math.ceil(value));
    }
  }

  /** To be asked when all of the body has been read. */
  finish(): number {
    this.#endTool();
    return this.#count;
  }

  #endTool(): void {
    if (this.#isSearch) this.#count += this.#limit ?? SEARCHES_WITHOUT_LIMIT;
    this.#isSearch = false;
    this.#limit = undefined;
  }
}
