/**
 * Documents in a body that are text: in base64 they look like pictures, and have many more tokens. Nothing is decoded
 * to be counted: the length of base64 tells how many bytes are in it. Pure.
 */
import type { JsonScalar } from '../protocol/json-scan.ts';

/** Where a document stands, its bytes, and what says of what kind they are. */
interface DocumentPlace {
  /** The object that begins a document. */
  readonly object: string;
  readonly bytes: string;
  readonly kinds: readonly string[];
  /** Text, by what the object says; `head`: the beginning of the bytes as they stand in the body. */
  readonly isText: (kinds: readonly string[], head: string) => boolean;
}

/** Converse's formats whose text cannot be told by their size. The others are txt, md, csv and html. */
const PACKED_FORMATS: ReadonlySet<string> = new Set(['pdf', 'doc', 'docx', 'xls', 'xlsx']);
/** Media types of the same, and of what is no document. */
const PACKED_MEDIA = /^(?:image|audio|video)\/|^application\/(?:pdf|msword|zip|vnd\.(?:openxmlformats-|ms-))/i;
/** The base64 of the first bytes of a PDF, a ZIP (Office) or an old Office file. */
const PACKED_BYTES = /^(?:JVBERi0|UEsDB|0M8R4)/;
const DATA_URL = 'data:';
/** Anthropic's source of plain text: its data is no base64. */
const PLAIN = 'text';

const isTextFormat = (formats: readonly string[]): boolean =>
  formats.length === 0 || formats.some((format) => !PACKED_FORMATS.has(format));
const isTextMedia = (kinds: readonly string[]): boolean => {
  const [media = [], others = []] = partition(kinds, (kind) => kind.includes('/'));
  return others.includes(PLAIN) || media.length === 0 || media.some((kind) => !PACKED_MEDIA.test(kind));
};
const isTextFile = (_kinds: readonly string[], head: string): boolean =>
  head.startsWith(DATA_URL) ? !PACKED_MEDIA.test(head.slice(DATA_URL.length)) : !PACKED_BYTES.test(head);

const PLACES: readonly DocumentPlace[] = [
  ...['messages[].content[].document', 'messages[].content[].toolResult.content[].document'].map((object) => ({
    object,
    bytes: `${object}.source.bytes`,
    kinds: [`${object}.format`],
    isText: isTextFormat,
  })),
  ...['messages[].content[].source', 'messages[].content[].content[].source'].map((object) => ({
    object,
    bytes: `${object}.data`,
    kinds: [`${object}.type`, `${object}.media_type`],
    isText: isTextMedia,
  })),
  ...['messages[].content[].file', 'input[].content[]', 'input[].output[]'].map((object) => ({
    object,
    bytes: `${object}.file_data`,
    kinds: [],
    isText: isTextFile,
  })),
];

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

/** Where to look, as `JsonPaths` reads it. */
export const DOCUMENT_PATHS: readonly string[] = [...ROLES.keys()];

/** Strings that were taken for blobs, and are text. */
export interface TextBlobs {
  readonly blobs: number;
  /** As they stand in the body. */
  readonly blobBytes: number;
  /** Of the text in them. */
  readonly textBytes: number;
}

interface OpenDocument {
  blobs: number;
  blobBytes: number;
  head: string;
  readonly kinds: string[];
}

/** State: the text that was found, and the document of each place that is being read. */
export class DocumentText {
  readonly #open = new Map<DocumentPlace, OpenDocument>();
  readonly #sum = { blobs: 0, blobBytes: 0, textBytes: 0 };

  /** An object or a list begins at one of DOCUMENT_PATHS. */
  open(path: string): void {
    const role = ROLES.get(path);
    if (role?.part === 'object') this.#end(role.place);
  }

  /** A value stands at one of DOCUMENT_PATHS; `isBlob`: it was counted as one. */
  take(path: string, value: JsonScalar, isBlob: boolean): void {
    const role = ROLES.get(path);
    if (role === undefined || role.part === 'object') return;
    let document = this.#open.get(role.place);
    if (document === undefined)
      this.#open.set(role.place, (document = { blobs: 0, blobBytes: 0, head: '', kinds: [] }));
    if (role.part === 'kind') document.kinds.push(String(value).toLowerCase());
    else if (isBlob) {
      const isLong = typeof value === 'object' && value !== null;
      document.blobs += 1;
      document.blobBytes += isLong ? value.tooLong : String(value).length;
      document.head = isLong ? value.head : String(value).slice(0, 64);
    }
  }

  /** To be asked when all of the body has been read. */
  finish(): TextBlobs {
    for (const place of this.#open.keys()) this.#end(place);
    return this.#sum;
  }

  #end(place: DocumentPlace): void {
    const document = this.#open.get(place);
    this.#open.delete(place);
    if (document === undefined || document.blobs === 0 || !place.isText(document.kinds, document.head)) return;
    const { blobs, blobBytes, kinds } = document;
    this.#sum.blobs += blobs;
    this.#sum.blobBytes += blobBytes;
    this.#sum.textBytes += kinds.includes(PLAIN) ? blobBytes : Math.ceil((blobBytes * 3) / 4);
  }
}

function partition<T>(values: readonly T[], isFirst: (value: T) => boolean): [T[], T[]] {
  return [values.filter((value) => isFirst(value)), values.filter((value) => !isFirst(value))];
}
