/**
 * What in a body is no text, by the places where it may stand: pictures, documents, films, speech. In base64 they all
 * look alike, and have very different numbers of tokens; anything else that looks like base64 is text. Nothing is
 * decoded to be counted: the length of base64 tells how many bytes are in it. Pure.
 */
import type { JsonScalar } from '../protocol/json-scan.ts';

/**
 * `text`: a document of text, as long as its bytes. `picture`: no model reads many tokens of one. `unsized`: its size
 * says nothing of its tokens: a PDF of a few kilobytes may have a hundred pages, a film of as many an hour.
 */
type MediaKind = 'text' | 'picture' | 'unsized';

/** Where a document or a picture stands whose kind is told beside it, or by its first bytes. */
interface DocumentPlace {
  /** The object that begins one. */
  readonly object: string;
  readonly bytes: string;
  readonly kinds: readonly string[];
  /** Several, if the body contradicts itself. `head`: the beginning of the bytes as they stand in the body. */
  readonly tell: (kinds: readonly string[], head: string) => readonly MediaKind[];
}

/** Converse's formats whose text cannot be told by their size. The others are txt, md, csv and html. */
const PACKED_FORMATS: ReadonlySet<string> = new Set(['pdf', 'doc', 'docx', 'xls', 'xlsx']);
const PICTURE_MEDIA = /^image\//i;
/** MediaSize types of the same, and of what is no document. */
const PACKED_MEDIA = /^(?:image|audio|video)\/|^application\/(?:pdf|msword|zip|vnd\.(?:openxmlformats-|ms-))/i;
/** The base64 of the first bytes of a PDF, a ZIP (Office) or an old Office file. */
const PACKED_BYTES = /^(?:JVBERi0|UEsDB|0M8R4)/;
const DATA_URL = 'data:';
/** Anthropic's source of plain text: its data is no base64. */
const PLAIN = 'text';

/** Converse's blocks, and those in the result of a tool; Nova's are the same. */
const BLOCKS = ['messages[].content[]', 'messages[].content[].toolResult.content[]'];

/**
 * Anthropic's: of a block, of those in the result of a tool, of those that a document holds, of what was fetched from
 * the web.
 */
const SOURCES = [
  ...['messages[].content[]', 'messages[].content[].content[]'].flatMap((block) => [
    `${block}.source`,
    `${block}.source.content[].source`,
  ]),
  'messages[].content[].content.content.source',
];

const PLACES: readonly DocumentPlace[] = [
  ...BLOCKS.map((block) => ({
    object: `${block}.document`,
    bytes: `${block}.document.source.bytes`,
    kinds: [`${block}.document.format`],
    tell: tellFormat,
  })),
  ...SOURCES.map((object) => ({
    object,
    bytes: `${object}.data`,
    kinds: [`${object}.type`, `${object}.media_type`],
    tell: tellMedia,
  })),
  ...['messages[].content[].file', 'input[].content[]', 'input[].output[]'].map((object) => ({
    object,
    bytes: `${object}.file_data`,
    kinds: [],
    tell: tellFile,
  })),
];

/** Where nothing but one kind stands. */
const FIXED: Readonly<Record<Exclude<MediaKind, 'text'>, readonly string[]>> = {
  picture: [
    ...BLOCKS.map((block) => `${block}.image.source.bytes`),
    'messages[].content[].image_url',
    'messages[].content[].image_url.url',
    'input[].content[].image_url',
    'input[].output[].image_url',
    // What a screen shows that a client of OpenAI's works on
    'input[].output.image_url',
    // Guardrails
    'content[].image.source.bytes',
    'messages[].content[].guardContent.image.source.bytes',
    // Embeddings of Titan, Cohere, Nova and TwelveLabs; Llama
    'inputImage',
    'images[]',
    'inputs[].content[].image_url.url',
    'singleEmbeddingParams.*.source.bytes',
    'mediaSource.base64String',
  ],
  unsized: [
    ...BLOCKS.flatMap((block) => [`${block}.video.source.bytes`, `${block}.audio.source.bytes`]),
    'messages[].content[].input_audio.data',
    'input[].content[].input_audio.data',
    ...['video_url', 'audio_url'].flatMap((name) => [
      `messages[].content[].${name}`,
      `messages[].content[].${name}.url`,
    ]),
  ],
};

/** What a path is of its place. */
interface Role {
  readonly place: DocumentPlace;
  readonly part: 'object' | 'bytes' | 'kind';
}

const ROLES: ReadonlyMap<string, Role> = new Map(
  PLACES.flatMap((place): [string, Role][] => [
    [place.object, { place, part: 'object' }],
    [place.bytes, { place, part: 'bytes' }],
    ...place.kinds.map((path): [string, Role] => [path, { place, part: 'kind' }]),
  ]),
);
const FIXED_KINDS: ReadonlyMap<string, readonly MediaKind[]> = new Map([
  ...FIXED.picture.map((path): [string, MediaKind[]] => [path, ['picture']]),
  ...FIXED.unsized.map((path): [string, MediaKind[]] => [path, ['unsized']]),
]);

/** Where to look, as `JsonPaths` reads it. */
export const INPUT_MEDIA_PATHS: readonly string[] = [...ROLES.keys(), ...FIXED_KINDS.keys()];

/** What a body holds besides its text. */
export interface MediaSize {
  /** Bytes of base64 that are no text of the body, as they stand in it. */
  readonly blobBytes: number;
  /** Of the text in documents among them. */
  readonly textBytes: number;
  /** Pictures, and what else is no text, however small. */
  readonly pieces: number;
  /** The bytes of those, as they stand in the body. */
  readonly pieceBytes: number;
  /** One of them is of a kind whose size says nothing of its tokens. */
  readonly hasUnsized: boolean;
}

/** A body of text alone. */
export const NO_INPUT_MEDIA: MediaSize = { blobBytes: 0, textBytes: 0, pieces: 0, pieceBytes: 0, hasUnsized: false };

interface Bytes {
  readonly sizeBytes: number;
  readonly isBlob: boolean;
  readonly head: string;
}

interface OpenDocument {
  readonly values: Bytes[];
  readonly kinds: string[];
}

/** State: what was found, and the document of each place that is being read. */
export class InputMedia {
  readonly #open = new Map<DocumentPlace, OpenDocument>();
  readonly #sum = { ...NO_INPUT_MEDIA };

  /** An object or a list begins at one of INPUT_MEDIA_PATHS. */
  open(path: string): void {
    const role = ROLES.get(path);
    if (role?.part === 'object') this.#end(role.place);
  }

  /** A value stands at one of INPUT_MEDIA_PATHS; `isBlob`: it looks like base64. */
  take(path: string, value: JsonScalar, isBlob: boolean): void {
    const fixed = FIXED_KINDS.get(path);
    if (fixed !== undefined) return this.#count(toBytes(value, isBlob), fixed, false);
    const role = ROLES.get(path);
    if (role === undefined || role.part === 'object') return undefined;
    let document = this.#open.get(role.place);
    if (document === undefined) this.#open.set(role.place, (document = { values: [], kinds: [] }));
    if (role.part === 'kind') document.kinds.push(String(value).toLowerCase());
    else if (value !== null) document.values.push(toBytes(value, isBlob));
    return undefined;
  }

  /** To be asked when all of the body has been read. */
  finish(): MediaSize {
    for (const place of this.#open.keys()) this.#end(place);
    return this.#sum;
  }

  #end(place: DocumentPlace): void {
    const document = this.#open.get(place);
    this.#open.delete(place);
    for (const bytes of document?.values ?? []) {
      const { kinds = [] } = document ?? {};
      this.#count(bytes, place.tell(kinds, bytes.head), kinds.includes(PLAIN));
    }
  }

  #count({ sizeBytes, isBlob }: Bytes, kinds: readonly MediaKind[], isPlain: boolean): void {
    const sum = this.#sum;
    const mayBeText = kinds.includes('text');
    // Base64 whose slashes are escaped does not look like base64.
    if (isBlob || !mayBeText) sum.blobBytes += sizeBytes;
    if (isBlob && mayBeText) sum.textBytes += isPlain ? sizeBytes : Math.ceil((sizeBytes * 3) / 4);
    if (!kinds.includes('picture') && !kinds.includes('unsized')) return;
    sum.pieces += 1;
    sum.pieceBytes += sizeBytes;
    sum.hasUnsized ||= kinds.includes('unsized');
  }
}

function toBytes(value: JsonScalar, isBlob: boolean): Bytes {
  if (typeof value === 'object' && value !== null) return { sizeBytes: value.tooLong, isBlob, head: value.head };
  const text = String(value);
  return { sizeBytes: text.length, isBlob, head: text.slice(0, 64) };
}

/** AWS takes one of several formats: which one is not known. */
function tellFormat(formats: readonly string[]): readonly MediaKind[] {
  const kinds = formats.map((format): MediaKind => (PACKED_FORMATS.has(format) ? 'unsized' : 'text'));
  return kinds.length === 0 ? ['text'] : kinds;
}

function tellMedia(kinds: readonly string[]): readonly MediaKind[] {
  const media = kinds.filter((kind) => kind.includes('/'));
  const found = media.map((kind): MediaKind => {
    if (PICTURE_MEDIA.test(kind)) return 'picture';
    return PACKED_MEDIA.test(kind) ? 'unsized' : 'text';
  });
  return kinds.includes(PLAIN) || media.length === 0 ? [...found, 'text'] : found;
}

function tellFile(_kinds: readonly string[], head: string): readonly MediaKind[] {
  const isPacked = head.startsWith(DATA_URL) ? PACKED_MEDIA.test(head.slice(DATA_URL.length)) : PACKED_BYTES.test(head);
  return [isPacked ? 'unsized' : 'text'];
}
