/**
 * What may stand in the labels of metrics. Every new combination of labels is a series that nobody forgets, here or in
 * the database that collects it, and much of what could stand in one is chosen by clients: so their number has an end.
 * Pure apart from remembering what it has seen.
 */
import type { RequestRecord } from '../domain/request-record.ts';
import { findModel } from '../domain/outcome.ts';
import { printable } from '../lib/printable.ts';

const MAX_MODELS = 100;
const MAX_KEYS = 200;
const MAX_ERROR_TYPES = 100;
/** Of service, operation, model and key; beyond these, model and key are `other`. */
const MAX_COMBINATIONS = 2_000;
const MAX_LENGTH = 200;

/** For what does not apply, for what our table does not know, and for what came too late to have a label of its own. */
const NONE = 'none';
const UNKNOWN = 'unknown';
const OTHER = 'other';

/** Labels of one series. A frozen object per combination: the same one for the same labels. */
export interface SeriesLabels {
  readonly service: string;
  readonly operation: string;
  readonly model: string;
  readonly key: string;
}

/** Remembers which labels exist. */
export class MetricLabels {
  readonly #models = new Names(MAX_MODELS);
  readonly #keys = new Names(MAX_KEYS);
  readonly #errorTypes = new Names(MAX_ERROR_TYPES);
  readonly #combinations = new Map<string, SeriesLabels>();

  /** A model has a label of its own once a request for it went well: anybody can ask for models that do not exist. */
  find(record: RequestRecord): SeriesLabels {
    const { route, principal, status, upstreamErrorType } = record;
    const isVerified = status !== undefined && status < 400 && upstreamErrorType === undefined;
    const service = route?.service ?? NONE;
    const operation = route === undefined ? NONE : (route.operation ?? UNKNOWN);
    const model = this.#models.find(findModel(record), isVerified);
    const key = this.#keys.find(principal?.label, true);
    return this.#remember(service, operation, model, key);
  }

  /** AWS's error types are few, but they are whatever stands in a header. */
  findErrorType(errorType: string): string {
    return this.#errorTypes.find(errorType, true);
  }

  #remember(service: string, operation: string, model: string, key: string): SeriesLabels {
    // No label has a line break: two combinations never look like one.
    const combination = [service, operation, model, key].join('\n');
    const known = this.#combinations.get(combination);
    if (known !== undefined) return known;
    if (this.#combinations.size >= MAX_COMBINATIONS && !(model === OTHER && key === OTHER)) {
      return this.#remember(service, operation, OTHER, OTHER);
    }
    const labels = Object.freeze({ service, operation, model, key });
    this.#combinations.set(combination, labels);
    return labels;
  }
}

/** The first so many names, as they may stand in a label; the rest are `other`. */
class Names {
  readonly #max: number;
  readonly #labels = new Map<string, string>();

  constructor(max: number) {
    this.#max = max;
  }

  find(name: string | undefined, mayJoin: boolean): string {
    if (name === undefined) return NONE;
    const known = this.#labels.get(name);
    if (known !== undefined) return known;
    if (!mayJoin || this.#labels.size >= this.#max) return OTHER;
    const label = toLabel(name);
    this.#labels.set(name, label);
    return label;
  }
}

/** Whoever reads metrics with curl reads what clients chose. */
function toLabel(name: string): string {
  return printable(name.slice(0, MAX_LENGTH), MAX_LENGTH);
}
