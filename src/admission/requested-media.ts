/**
 * What a request asks for that is sold by the piece, and that no response tells: seconds of a video, pictures and
 * recordings that are read, queries of a reranking; and of what kind a picture or video is to be. It is told by the
 * members of the body alone, because the name of a model need not say what it is. Pure.
 */
import { parseModelName, withoutGeography } from '../domain/model-name.ts';
import type { PieceUnit, RequestedUnits } from '../domain/units.ts';
import type { OperationFacts } from '../operations/facts.ts';
import type { MediaVariant } from '../pricing/cost.ts';
import type { JsonScalar } from '../protocol/json-scan.ts';

/** Which request it is: the body is the model's, `modelInput` in it is, or it is a reranking of a knowledge base. */
type MediaKind = NonNullable<OperationFacts['media']>;

/** What a request asks for. Both are undefined if it asks for nothing of the kind. */
export interface MediaRequest {
  readonly variant: MediaVariant | undefined;
  readonly requestedUnits: RequestedUnits | undefined;
}

/** Makers and kinds of models that are sold by the piece. Those that embed text alone are not. */
const MEDIA_MODEL = /^(?:stability|luma|twelvelabs)\.|rerank|image|canvas|reel|embed(?!-text|-g1-text)/;

/**
 * Whether a request to this model may ask for such things; `certainly`: the model's name says so. `pathModel` is the
 * model in the URL.
 */
export function mayAskForMedia({ media }: OperationFacts, pathModel: string | undefined, certainly: boolean): boolean {
  if (media !== 'body') return media !== undefined;
  const { priceName } = parseModelName(pathModel ?? '');
  return priceName === undefined ? !certainly : MEDIA_MODEL.test(withoutGeography(priceName));
}

/** Titan Image, Nova Canvas and Nova Reel; Stable Diffusion XL; Marengo; Nova's embeddings. */
const MODEL_FIELDS = [
  'taskType',
  'imageGenerationConfig.width',
  'imageGenerationConfig.height',
  'imageGenerationConfig.quality',
  'videoGenerationConfig.durationSeconds',
  'videoGenerationConfig.dimension',
  'multiShotManualParams.shots[]',
  'width',
  'height',
  'steps',
  // Titan's, Cohere's and Nova's embeddings
  'inputImage',
  'images[]',
  'inputs[].content[].image_url',
  'singleEmbeddingParams.image',
  'singleEmbeddingParams.image.detailLevel',
  'singleEmbeddingParams.video',
  'singleEmbeddingParams.audio',
  'segmentedEmbeddingParams.image',
  'segmentedEmbeddingParams.video',
  'segmentedEmbeddingParams.audio',
  // TwelveLabs
  'inputType',
  'mediaSource',
  'video.mediaSource',
  'audio.mediaSource',
  'startSec',
  'endSec',
  'lengthSec',
  'video.startSec',
  'video.endSec',
  'audio.startSec',
  'audio.endSec',
  // Reranking
  'query',
  'documents[]',
  'documents[].text',
] as const;
/** Luma's, which are started and not waited for. */
const ASYNC_FIELDS = [...MODEL_FIELDS, 'duration', 'resolution'] as const;
const RERANK_FIELDS = ['queries[]', 'sources[]', 'sources[].inlineDocumentSource.textDocument.text'] as const;

type Field = (typeof ASYNC_FIELDS)[number] | (typeof RERANK_FIELDS)[number];

const PREFIX: Readonly<Record<MediaKind, string>> = { body: '', modelInput: 'modelInput.', reranking: '' };
const FIELDS: Readonly<Record<MediaKind, ReadonlyMap<string, Field>>> = {
  body: fieldsOf('body', MODEL_FIELDS),
  modelInput: fieldsOf('modelInput', ASYNC_FIELDS),
  reranking: fieldsOf('reranking', RERANK_FIELDS),
};

function fieldsOf(kind: MediaKind, fields: readonly Field[]): ReadonlyMap<string, Field> {
  return new Map(fields.map((field) => [`${PREFIX[kind]}${field}`, field]));
}

/** Where to look, as `JsonPaths` reads it. */
export function mediaPaths(kind: MediaKind): readonly string[] {
  return [...FIELDS[kind].keys()];
}

/** Pictures of these tasks have the size that the request says, or this one. */
const NEW_PICTURE = /^(?:TEXT_IMAGE|COLOR_GUIDED_GENERATION|IMAGE_VARIATION)$/;
const DEFAULT_PIXELS = 1024;
/** Those of these have the size of another one. */
const CHANGED_PICTURE = /^(?:IN|OUT)PAINTING$|^BACKGROUND_REMOVAL$|^VIRTUAL_TRY_ON$/;
const DEFAULT_QUALITY = 'standard';
const HD_LINES = 720;
/** https://docs.aws.amazon.com/nova/latest/userguide/video-gen-access.html */
const SECONDS_PER_SHOT = 6;

/** AWS's price of a reranking: a query is of 100 documents, and a document of 512 tokens, which are longer in text. */
const DOCUMENTS_PER_QUERY = 100;
const BYTES_PER_DOCUMENT = 512 * 3;

/** No request asks for more; larger numbers are refused by AWS. */
const MAX_NUMBER = 1_000_000;
/** Longer words are none of AWS's. */
const MAX_WORD_LENGTH = 64;

/** State: what the fields said so far. Of a member that is there twice, the larger number counts, or the last word. */
export class RequestedMedia {
  readonly #fields: ReadonlyMap<string, Field>;
  readonly #numbers = new Map<Field, number>();
  readonly #words = new Map<Field, string>();
  /** Nothing else tells what the request costs. */
  readonly #isAll: boolean;
  /** How often each is there, null apart. */
  readonly #counts = new Map<Field, number>();
  /** Documents, each that is longer than one counted as several. */
  #pieces = 0;

  constructor(kind: MediaKind) {
    this.#fields = FIELDS[kind];
    this.#isAll = kind !== 'body';
  }

  /** Whether a path is one of `mediaPaths`. */
  has(path: string): boolean {
    return this.#fields.has(path);
  }

  /** An object or a list begins at one of `mediaPaths`. */
  open(path: string): void {
    const field = this.#fields.get(path);
    if (field !== undefined) this.#count(field);
  }

  /** A value stands at one of them. */
  take(path: string, value: JsonScalar): void {
    const field = this.#fields.get(path);
    if (field === undefined || value === null) return;
    this.#count(field);
    if (typeof value === 'number') this.#numbers.set(field, Math.max(this.#numbers.get(field) ?? 0, value));
    else if (typeof value === 'string') this.#words.set(field, value.slice(0, MAX_WORD_LENGTH));
    if (TEXTS.has(field)) this.#pieces += Math.floor((lengthOf(value) - 1) / BYTES_PER_DOCUMENT);
  }

  /** To be asked when all of the body has been read. */
  finish(): MediaRequest {
    return { variant: this.#findVariant(), requestedUnits: this.#findUnits() };
  }

  #count(field: Field): void {
    this.#counts.set(field, this.#countOf(field) + 1);
  }

  #countOf(...fields: readonly Field[]): number {
    return fields.reduce((sum, field) => sum + (this.#counts.get(field) ?? 0), 0);
  }

  #findVariant(): MediaVariant | undefined {
    const task = this.#words.get('taskType') ?? '';
    const isNew = NEW_PICTURE.test(task);
    const [, width, height] =
      /^(\d{1,5})x(\d{1,5})$/.exec(this.#words.get('videoGenerationConfig.dimension') ?? '') ?? [];
    const [, lines] = /^(\d{1,5})p$/.exec(this.#words.get('resolution') ?? '') ?? [];
    const pixels = isNew ? DEFAULT_PIXELS : undefined;
    const quality = this.#words.get('imageGenerationConfig.quality') ?? this.#words.get(DETAIL);
    // Beside a task, only its own configuration counts.
    const beside = (field: Field): Field[] => (task === '' ? [field] : []);
    const variant: MediaVariant = {
      width: this.#number('imageGenerationConfig.width', ...beside('width')) ?? toNumber(width) ?? pixels,
      height: this.#number('imageGenerationConfig.height', ...beside('height')) ?? toNumber(height ?? lines) ?? pixels,
      quality:
        quality?.toLowerCase() ??
        this.#videoQuality(lines) ??
        (isNew || CHANGED_PICTURE.test(task) ? DEFAULT_QUALITY : undefined),
      steps: this.#number('steps'),
    };
    const known = Object.entries(variant).filter(([, value]) => value !== undefined);
    return known.length === 0 ? undefined : Object.fromEntries(known);
  }

  /** AWS has two prices for the lines of a Luma video; one that the request does not say is not the cheaper. */
  #videoQuality(lines: string | undefined): 'standard' | 'hd' | undefined {
    if (this.#countOf('duration', 'resolution') === 0) return undefined;
    return lines !== undefined && Number(lines) < HD_LINES ? 'standard' : 'hd';
  }

  #findUnits(): RequestedUnits | undefined {
    const counts = new Map<PieceUnit, number | undefined>();
    const task = this.#words.get('taskType') ?? '';
    const duration = /^(\d{1,5})s$/.exec(this.#words.get('duration') ?? '')?.[1];
    if (task === 'MULTI_SHOT_MANUAL') {
      counts.set('videoSeconds', this.#countOf('multiShotManualParams.shots[]') * SECONDS_PER_SHOT || undefined);
    } else if (task.endsWith('_VIDEO') || task.startsWith('MULTI_SHOT_')) {
      counts.set('videoSeconds', this.#number('videoGenerationConfig.durationSeconds'));
    } else if (this.#countOf('duration', 'resolution') > 0) counts.set('videoSeconds', toNumber(duration));
    this.#findInputs(counts);
    const known = [...counts].filter(([, count]) => count !== undefined);
    const isVague = known.length < counts.size;
    const queries = this.#findQueries();
    if (queries !== undefined) known.push(['searchQueries', queries.most]);
    const hasUnknown = isVague || (this.#isAll && known.length === 0);
    if (known.length === 0 && !hasUnknown) return undefined;
    const isEstimated = queries?.isCertain === false;
    return { counts: Object.fromEntries(known), hasUnknown, ...(isEstimated ? { isEstimated } : {}) };
  }

  /** A recording whose length is not told is of an unknown one. */
  #findInputs(counts: Map<PieceUnit, number | undefined>): void {
    const type = this.#words.get('inputType') ?? '';
    const isPicture = type.includes('image') ? 1 : 0;
    const images =
      isPicture +
      this.#countOf('inputImage', 'images[]', 'inputs[].content[].image_url', 'singleEmbeddingParams.image');
    if (images > 0) counts.set('inputImages', images);
    if (this.#countOf('segmentedEmbeddingParams.image') > 0) counts.set('inputImages', undefined);
    const isVideo = this.#countOf('singleEmbeddingParams.video', 'segmentedEmbeddingParams.video') > 0;
    const isAudio = this.#countOf('singleEmbeddingParams.audio', 'segmentedEmbeddingParams.audio') > 0;
    if (type === 'video') counts.set('inputVideoSeconds', this.#span('video'));
    else if (isVideo || (type === '' && this.#countOf('mediaSource') > 0)) counts.set('inputVideoSeconds', undefined);
    if (type === 'audio') counts.set('inputAudioSeconds', this.#span('audio'));
    else if (isAudio) counts.set('inputAudioSeconds', undefined);
  }

  /** The first Marengo has its fields beside the recording, the later ones beside theirs: the others are ignored. */
  #span(medium: 'video' | 'audio'): number | undefined {
    const isLater = this.#countOf(`${medium}.mediaSource`) > 0;
    if (isLater && this.#countOf('mediaSource') > 0) return undefined;
    const length = isLater ? undefined : this.#number('lengthSec');
    if (length !== undefined) return length;
    const from = this.#numbers.get(isLater ? `${medium}.startSec` : 'startSec') ?? 0;
    const to = this.#number(isLater ? `${medium}.endSec` : 'endSec');
    return to === undefined || !(from >= 0 && from < to) ? undefined : Math.ceil(to - from);
  }

  /** AWS cuts documents that are longer than 512 tokens, and counts the pieces; how many that makes is a guess. */
  #findQueries(): { readonly most: number; readonly isCertain: boolean } | undefined {
    const documents = this.#countOf('documents[]', 'sources[]');
    const queries = this.#countOf('query', 'queries[]');
    if (documents === 0 || queries === 0) return undefined;
    const asked = this.#countOf('queries[]') || 1;
    const least = Math.ceil(documents / DOCUMENTS_PER_QUERY) * asked;
    const most = Math.ceil((documents + this.#pieces) / DOCUMENTS_PER_QUERY) * asked;
    return { most, isCertain: least === most };
  }

  /** The first of them that is a number that AWS could take. */
  #number(...fields: readonly Field[]): number | undefined {
    for (const field of fields) {
      const value = this.#numbers.get(field);
      if (value !== undefined) return value > 0 && value <= MAX_NUMBER ? Math.ceil(value) : undefined;
    }
    return undefined;
  }
}

const DETAIL = 'singleEmbeddingParams.image.detailLevel';
const TEXTS: ReadonlySet<Field> = new Set<Field>([
  'documents[]',
  'documents[].text',
  'sources[].inlineDocumentSource.textDocument.text',
]);

function toNumber(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits);
}

function lengthOf(value: Exclude<JsonScalar, null>): number {
  return typeof value === 'object' ? value.tooLong : Buffer.byteLength(String(value));
}
